import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { issueApiKey } from '#libs/auth';
import { ApiKeyTable, Database } from '#libs/persistence';
import { serverSentEvents } from '#libs/testing';
import type { PromiseViolation } from './checker.js';
import { chaosTenant, infer } from './documents.js';
import { readRows } from './rows.js';

/** The flow that callers ask. */
const deciding = 'deciding';
const waitMs = 3_000;
/** The answer of a caller comes later only where its door was paused, or the machine was too busy to send it. */
const slackMs = 1_000;
const callEveryMs = 100;
/** A caller who follows a draft asks again so often when its connection is lost. */
const mostTries = 5;

export function decisionDocuments(): object[] {
  return [
    {
      apiVersion: 'millrace/v1',
      kind: 'Flow',
      metadata: { tenant: chaosTenant, name: deciding },
      spec: {
        onRequest: { default: { topic: 'unknown' }, waitMs, draft: 'assess' },
        steps: [{ id: 'assess', infer: { ...infer, input: 'event.data.message' } }],
      },
    },
  ];
}

/** A key for callers. */
export async function issueCallerKey(databaseUrl: string): Promise<string> {
  const database = await Database.connect({ url: databaseUrl, role: 'millrace_service', applicationName: 'millrace-chaos', poolSize: 1 });
  const { id, key, secretHash } = issueApiKey('test');
  const about = { tenant: chaosTenant, name: 'callers', createdBy: 'chaos', expiresAt: null };
  await new ApiKeyTable().insert(database, { ...about, id, secretHash, scopes: ['ingest'] });
  await database.close();
  return key;
}

/** The answer that a caller got. */
export interface CallerAnswer {
  readonly eventId: string;
  readonly decision: unknown;
  readonly reason: string | null;
  readonly tookMs: number;
}

/** A stream that came to its end. */
export interface EndedStream {
  readonly id: string;
  /** Its events in order, without drafts. */
  readonly events: readonly string[];
  /** The text since the last restart, over all connections of the caller. */
  readonly draft: string;
  /** False: the caller was told that some of the draft is missing. */
  readonly isComplete: boolean;
  /** Undefined if its last event was none. */
  readonly decision: Omit<CallerAnswer, 'tookMs'> | undefined;
}

/** The end of a run that was asked for. */
export interface StoredDecision {
  readonly eventId: string;
  readonly state: string;
  readonly decision: unknown;
  readonly reason: string | null;
}

/**
 * Callers who wait for decisions, each of another customer. Every tenth asks for a decision that was asked for before. Every third follows the draft, and
 * every second of those cuts its connection after the first text, and goes on with another one.
 */
export class DecisionCallers {
  readonly answers: CallerAnswer[] = [];
  readonly streams: EndedStream[] = [];
  /** Connections with which a stream went on. */
  resumed = 0;
  /** Calls that got no decision: no connection, or a status other than 200. */
  unanswered = 0;
  private readonly ids: string[] = [];
  private readonly calls: Promise<void>[] = [];
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly doors: string,
    private readonly key: string,
  ) {}

  start(): void {
    this.timer = setInterval(() => this.calls.push(this.call()), callEveryMs);
  }

  async stop(): Promise<void> {
    clearInterval(this.timer);
    await Promise.all(this.calls);
  }

  private async call(): Promise<void> {
    const isRepeat = this.calls.length % 10 === 9;
    const id = isRepeat ? this.ids[Math.floor(this.ids.length / 2)]! : randomUUID();
    if (!isRepeat) this.ids.push(id);
    if (this.calls.length % 3 === 1) return this.follow(id, this.calls.length % 2 === 0);
    const startedAt = performance.now();
    try {
      const response = await this.ask(id);
      const answer = (await response.json()) as Omit<CallerAnswer, 'tookMs'>;
      if (response.status === 200) this.answers.push({ ...answer, tookMs: performance.now() - startedAt });
      else this.unanswered += 1;
    } catch {
      this.unanswered += 1; // its door was struck
    }
  }

  private async follow(id: string, cuts: boolean): Promise<void> {
    const stream = new FollowedStream(id);
    for (let tries = 0; tries < mostTries; tries += 1) {
      const startedAt = performance.now();
      if (tries > 0) this.resumed += 1;
      try {
        const response = await this.ask(id, { accept: 'text/event-stream', ...stream.place });
        if (response.status !== 200) break;
        if ((await stream.read(response.body!, cuts && tries === 0)) === 'cut') continue;
        this.streams.push(stream.ended);
        if (stream.decision !== undefined) this.answers.push({ ...stream.decision, tookMs: performance.now() - startedAt });
        return;
      } catch {
        continue; // its door was struck
      }
    }
    this.unanswered += 1;
  }

  private ask(id: string, headers: Record<string, string> = {}): Promise<Response> {
    return fetch(new URL(`/v1/decisions/${deciding}`, this.doors), {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${this.key}`, ...headers },
      body: JSON.stringify({ id, customer: `caller-${id}`, message: 'The invoice is wrong' }),
      signal: AbortSignal.timeout(60_000),
    });
  }
}

/** The events of one request, over all connections of its caller. */
class FollowedStream {
  decision: Omit<CallerAnswer, 'tookMs'> | undefined;
  private draft = '';
  private isComplete = true;
  private events: string[] = [];
  private lastEventId: string | undefined;

  constructor(private readonly id: string) {}

  get place(): Record<string, string> {
    return this.lastEventId === undefined ? {} : { 'last-event-id': this.lastEventId };
  }

  get ended(): EndedStream {
    const { id, draft, events, isComplete, decision } = this;
    return { id, draft, events, isComplete, decision };
  }

  async read(body: ReadableStream<Uint8Array>, cutsAtText: boolean): Promise<'ended' | 'cut'> {
    this.events = [];
    for await (const { id, event, data } of serverSentEvents(body)) {
      this.lastEventId = id ?? this.lastEventId;
      if (event !== 'draft') this.events.push(event);
      if (event === 'draft') this.draft += (data as { text: string }).text;
      if (event === 'restart') [this.draft, this.isComplete] = ['', true];
      if (event === 'skipped') this.isComplete = false;
      if (event === 'decision') this.decision = data as Omit<CallerAnswer, 'tookMs'>;
      if (event === 'draft' && cutsAtText) return 'cut';
    }
    return 'ended';
  }
}

/** Each stream that came to its end says first that the request is accepted, and last, once, what counts. */
export function checkStreams(streams: readonly EndedStream[]): PromiseViolation[] {
  return streams.flatMap(({ id, events }): PromiseViolation[] => {
    const [first, ...others] = events;
    const between = others.slice(0, -1);
    const isRight = first === 'accepted' && others.at(-1) === 'decision' && between.every((one) => one === 'restart' || one === 'skipped');
    return isRight ? [] : [{ kind: 'decision', ticket: undefined, what: `the stream of ${id} had the events ${events.join(', ')}` }];
  });
}

/** True if the draft is the text of the decision, with nothing missing. It may be less: a worker that was struck may have sent no more of it. */
export function isWhole({ draft, isComplete, decision }: EndedStream): boolean {
  try {
    return isComplete && isDeepStrictEqual(JSON.parse(draft), decision?.decision);
  } catch {
    return false;
  }
}

export function readDecisions(databaseUrl: string): Promise<StoredDecision[]> {
  return readRows(
    databaseUrl,
    `SELECT event_id AS "eventId", state, decision, default_reason AS reason FROM run WHERE tenant_id = $1 AND flow = $2 AND generation = 0`,
    [chaosTenant, deciding],
  );
}

/** Answers that promised nothing, because nobody could confirm them. */
export function isUnconfirmed({ reason }: CallerAnswer): boolean {
  return reason === 'decision.unconfirmed';
}

/** True if the answer is the decision that counts. The reason of an answer that is not confirmed is its own. */
export function agrees(answer: CallerAnswer, stored: StoredDecision | undefined): boolean {
  if (stored?.state !== 'completed' || !isDeepStrictEqual(stored.decision, answer.decision)) return false;
  return isUnconfirmed(answer) || stored.reason === answer.reason;
}

/** True if the answer came after its deadline. */
export function isLate({ tookMs }: CallerAnswer): boolean {
  return tookMs > waitMs + slackMs;
}

/** Each confirmed answer is what is stored at the end. Every request that was answered has a decision. */
export function checkDecisions(answers: readonly CallerAnswer[], stored: readonly StoredDecision[]): PromiseViolation[] {
  const byEvent = new Map(stored.map((one) => [one.eventId, one]));
  return answers.flatMap((answer): PromiseViolation[] => {
    const found = byEvent.get(answer.eventId);
    if (isUnconfirmed(answer) ? found?.state === 'completed' : agrees(answer, found)) return [];
    const what = `a caller was told ${JSON.stringify(answer)}, and stored is ${JSON.stringify(found)}`;
    return [{ kind: 'decision', ticket: undefined, what }];
  });
}
