import { Injectable } from '@nestjs/common';
import { DraftWritten, topics } from '#libs/contracts';
import type { EventReceived } from '#libs/contracts';
import { RecordProducer } from '#libs/messaging';
import type { InferenceObserver } from '#libs/models';
import { latencyMs, startTimer, wallTimeMs } from '#libs/time';
import { counter, gauge } from '#libs/tracing';
import type { RunningRun } from './run.store.js';

/** The least time between two parts of one draft, ms. What a model writes meanwhile goes together. */
const partEveryMs = 75;
/** The parts that a process sends in a second at most: its drafts send more rarely the more there are. */
const mostPartsPerSecond = 1_000;
/** Characters that may wait for the log: of one draft, and of all. */
const mostWaiting = { ofDraft: 65_536, ofAll: 8 * 1_048_576 };
/** The clocks of two processes may differ by so much. */
const graceMs = 5_000;

const followed = gauge('millrace_drafts_followed', 'Runs under way whose drafts callers follow.', {});
const dropped = counter(
  'millrace_draft_characters_dropped_total',
  'Characters of drafts that were not sent, because the log was too slow or away.',
  {},
);

type DraftOwner = Pick<DraftWritten, 'tenant' | 'customer' | 'eventId' | 'fence'>;

/** The drafts of this process, and how much may wait to be sent. */
@Injectable()
export class RunDrafts {
  waiting = 0;
  private open = 0;

  constructor(readonly producer: RecordProducer) {}

  /** The time between two parts of one draft, ms. */
  get partEveryMs(): number {
    return Math.max(partEveryMs, (this.open * 1_000) / mostPartsPerSecond);
  }

  /** Undefined if nobody follows the run. */
  of(run: RunningRun, { request }: EventReceived): RunDraft | undefined {
    const { reply } = request ?? {};
    if (reply?.draft !== true || run.generation !== 0 || run.flow !== request?.flow) return undefined;
    const { tenant, customer, eventId, fence } = run;
    const draft = new RunDraft(this, { tenant, customer, eventId, fence }, Date.parse(reply.until) + graceMs, () => this.count(-1));
    this.count(1);
    return draft;
  }

  private count(change: 1 | -1): void {
    this.open += change;
    followed.set(this.open);
  }
}

/**
 * Sends the draft of one run to the doors, in parts. It never waits: while the log is slow, what is written gathers in one part, and beyond a limit its
 * oldest text is dropped.
 */
export class RunDraft implements InferenceObserver, Disposable {
  private number = 1;
  /** Text that was not sent yet, and its place. */
  private text = '';
  private at = 0;
  /** True if the doors do not know yet that the last draft is void. */
  private isVoidUnsaid = false;
  private isSending = false;
  /** True when the run has ended, or the caller is gone. */
  private isClosed = false;
  private sentAtMs = -Infinity;
  private timer: NodeJS.Timeout | undefined;

  /** @param untilMs when the caller is gone, by the wall clock */
  constructor(
    private readonly drafts: RunDrafts,
    private readonly owner: DraftOwner,
    private readonly untilMs: number,
    private readonly leave: () => void,
  ) {}

  add(text: string): void {
    if (this.isClosed) return;
    this.setText(this.text + text);
    const { ofDraft, ofAll } = mostWaiting;
    const over = this.drafts.waiting > ofAll ? this.text.length : this.text.length - ofDraft;
    if (over > 0) this.drop(over);
    this.plan();
  }

  restart(): void {
    if (this.isClosed) return;
    this.setText('');
    this.number += 1;
    this.at = 0;
    this.isVoidUnsaid = true;
    this.plan();
  }

  /** Sends what is left: it stands before the reply on the log, if that is appended afterwards. */
  [Symbol.dispose](): void {
    clearTimeout(this.timer);
    if (!this.isClosed) this.send();
    this.isClosed = true;
    this.setText('');
    this.leave();
  }

  private setText(text: string): void {
    this.drafts.waiting += text.length - this.text.length;
    this.text = text;
  }

  private drop(characters: number): void {
    dropped.inc({}, characters);
    this.at += characters;
    this.setText(this.text.slice(characters));
  }

  private plan(): void {
    if (this.isSending || this.timer !== undefined) return;
    const dueInMs = this.sentAtMs + this.drafts.partEveryMs - performance.now();
    this.timer = startTimer(() => this.send(), Math.max(0, dueInMs));
  }

  private send(): void {
    this.timer = undefined;
    const { text, at, number } = this;
    this.at += text.length;
    this.setText('');
    this.isClosed ||= latencyMs(wallTimeMs(), this.untilMs) === 0;
    if (this.isClosed || (text === '' && !this.isVoidUnsaid)) return;
    this.isVoidUnsaid = false;
    this.isSending = true;
    this.sentAtMs = performance.now();
    this.drafts.producer
      .append(topics.replies, DraftWritten, { ...this.owner, number, at, text })
      .catch(() => dropped.inc({}, text.length)) // the producer reports the log
      .finally(() => {
        this.isSending = false;
        if (this.text !== '' || this.isVoidUnsaid) this.plan();
      });
  }
}
