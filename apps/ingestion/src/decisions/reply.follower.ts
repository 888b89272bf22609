import { randomUUID } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import type { OnApplicationShutdown } from '@nestjs/common';
import { DecisionReplied, DraftWritten, messageOf, topics } from '#libs/contracts';
import { parseStoredJson } from '#libs/json';
import { TopicReader, schemaOf } from '#libs/messaging';
import type { LogOptions, LoggedRecord } from '#libs/messaging';
import { logClient } from '#libs/service';
import { sleep } from '#libs/time';
import { logger } from '#libs/tracing';
import { Drafts } from './drafts.js';
import { WaitingCallers } from './waiting-callers.js';

/** How long it goes on following when nobody waits any more: calls often come one after the other. */
const idleMs = 30_000;
const betweenTriesMs = 500;
/** Records that it also reads when it begins: where the log is slow, callers do not wait for the begin, and are told already. */
const recordsBefore = 1_000;
const log = logger('decisions');

/** Follows the replies while callers wait, and tells them. Between times it has no connection. */
@Injectable()
export class ReplyFollower implements OnApplicationShutdown {
  /** The address of this process in replies. */
  readonly address = randomUUID();
  private readonly reader: TopicReader;
  private readonly stopping = new AbortController();
  /** Resolves when what comes from now on is heard; undefined while it does not follow. */
  private following: Promise<void> | undefined;
  /** The last run. Runs come one after the other, because they share the reader. */
  private running: Promise<void> = Promise.resolve();

  constructor(
    @Inject(logClient) options: LogOptions,
    private readonly callers: WaitingCallers,
    private readonly drafts: Drafts,
  ) {
    this.reader = new TopicReader(options, topics.replies, {
      onRecords: (records) => records.forEach((record) => this.take(record)),
      onRestart: () => undefined,
    });
  }

  /** Resolves when replies to what is appended from then on will be heard, those of the moment before too, or when the log cannot be read at the moment. */
  follow(): Promise<void> {
    this.following ??= this.begin();
    return this.following;
  }

  async onApplicationShutdown(): Promise<void> {
    this.stopping.abort();
    await this.reader.close();
    await this.running;
    await this.reader.close(); // the last request may have opened a connection
  }

  private begin(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.running = this.running.then(() => this.run(resolve));
    return promise;
  }

  /** @param begun called when it follows, or cannot yet: it tries again for as long as callers wait */
  private async run(begun: () => void): Promise<void> {
    const { signal } = this.stopping;
    let neededAt = performance.now();
    let isFollowing = false;
    let isAway = false;
    while (!signal.aborted) {
      try {
        if (!isFollowing) await this.reader.skipToEnd(recordsBefore);
        isFollowing = true;
        begun();
        await this.reader.readNext();
        isAway = false;
      } catch (error) {
        if (signal.aborted) break;
        if (!isAway) log.warn({ reason: messageOf(error) }, 'replies cannot be read; callers are told by Postgres at their deadlines');
        isAway = true;
        begun();
        await sleep(betweenTriesMs, signal).catch(() => undefined);
      }
      if (!this.callers.isEmpty) neededAt = performance.now();
      else if (performance.now() - neededAt >= idleMs) break;
    }
    begun();
    this.following = undefined; // whoever comes from now on begins anew
    this.drafts.clear();
    await this.reader.close();
  }

  private take(record: LoggedRecord): void {
    const { value } = record;
    if (value === null) return;
    if (schemaOf(record) === DraftWritten.schema) return this.takeDraft(value);
    if (!value.includes(this.address)) return; // another process waits for it
    try {
      const { tenant, eventId, to, decision, defaultReason } = DecisionReplied.check.parse(parseStoredJson(String(value)));
      if (to === this.address) this.callers.tell(tenant, eventId, { decision, reason: defaultReason });
    } catch (error) {
      log.warn({ reason: messageOf(error) }, 'a reply cannot be read');
    }
  }

  private takeDraft(value: Buffer): void {
    try {
      this.drafts.take(DraftWritten.check.parse(parseStoredJson(String(value))));
    } catch (error) {
      log.warn({ reason: messageOf(error) }, 'a part of a draft cannot be read');
    }
  }
}
