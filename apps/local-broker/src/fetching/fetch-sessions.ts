import { errorCodes } from '../wire/error-codes.js';
import type { ErrorCode } from '../wire/error-codes.js';

/**
 * Incremental fetches (KIP-227): a session keeps the partitions that a client reads, so that a request names those whose offset has changed, and a
 * response those with something new. As in Kafka, a session belongs to no connection, and ends when a client says so or when another needs its place.
 * https://cwiki.apache.org/confluence/display/KAFKA/KIP-227%3A+Introduce+Incremental+FetchRequests+to+Increase+Partition+Scalability
 */

/** The offset that a partition is read from next. */
export interface ReadPosition {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly maxBytes: number;
}

export interface ReadPartition {
  readonly position: ReadPosition;
  readonly error: ErrorCode;
  /** Whole batches. */
  readonly records: readonly Buffer[];
  /** -1 if the partition is not there. */
  readonly startOffset: number;
  /** -1 if the partition is not there. */
  readonly endOffset: number;
}

export interface FetchSessionRequest {
  /** 0: none. */
  readonly sessionId: number;
  /** 0 begins a session with the partitions of this request, -1 ends one, and a number above counts the requests of a session. */
  readonly sessionEpoch: number;
  readonly positions: readonly ReadPosition[];
  readonly forgotten: readonly { readonly topic: string; readonly partition: number }[];
}

/** Decides which partitions a request reads, and which of them its response names. */
export interface FetchContext {
  /** 0: there is no session. */
  readonly sessionId: number;
  readonly positions: readonly ReadPosition[];
  newsIn(fetched: readonly ReadPartition[]): readonly ReadPartition[];
}

/** Kafka's default of `max.incremental.fetch.session.cache.slots`. */
const maxSessions = 1_000;
/** Kafka's default of `min.incremental.fetch.session.eviction.ms`: a session that was used since then keeps its place. */
const keptMs = 120_000;
const maxInt32 = 2_147_483_647;
const finalEpoch = -1;
const initialEpoch = 0;

export class FetchSessions {
  /** By id, those that were used longest ago first. */
  private readonly sessions = new Map<number, FetchSession>();
  private lastId = 0;

  /** @param nowMs default: a clock that is never set */
  constructor(private readonly nowMs: () => number = () => performance.now()) {}

  get size(): number {
    return this.sessions.size;
  }

  /** @returns the error of a request whose session is unknown, or that is not the next one of its session */
  contextOf({ sessionId, sessionEpoch, positions, forgotten }: FetchSessionRequest): FetchContext | ErrorCode {
    if (sessionEpoch === finalEpoch || sessionEpoch === initialEpoch) {
      this.sessions.delete(sessionId);
      return (sessionEpoch === initialEpoch && this.begin(positions)) || withoutSession(positions);
    }
    const session = this.sessions.get(sessionId);
    if (session === undefined) return errorCodes.fetchSessionIdNotFound;
    if (session.nextEpoch !== sessionEpoch) return errorCodes.invalidFetchSessionEpoch;
    this.sessions.delete(sessionId);
    session.goOn(positions, forgotten, this.nowMs());
    if (session.positions.length === 0) return withoutSession([]);
    this.sessions.set(sessionId, session); // as the one that was used last
    return session;
  }

  /** @returns undefined if there is no place for a session */
  private begin(positions: readonly ReadPosition[]): FetchSession | undefined {
    if (positions.length === 0) return undefined;
    if (this.sessions.size >= maxSessions) {
      const [oldest] = this.sessions.values();
      if (this.nowMs() - oldest!.usedAtMs < keptMs) return undefined;
      this.sessions.delete(oldest!.sessionId);
    }
    do this.lastId = this.lastId === maxInt32 ? 1 : this.lastId + 1;
    while (this.sessions.has(this.lastId));
    const session = new FetchSession(this.lastId, positions, this.nowMs());
    this.sessions.set(session.sessionId, session);
    return session;
  }
}

function withoutSession(positions: readonly ReadPosition[]): FetchContext {
  return { sessionId: 0, positions, newsIn: (fetched) => fetched };
}

interface SessionPartition {
  position: ReadPosition;
  /** The offsets of the last response that named the partition; -1: the next response names it. */
  startOffset: number;
  endOffset: number;
}

class FetchSession implements FetchContext {
  nextEpoch = 1;
  private readonly partitions = new Map<string, Map<number, SessionPartition>>();
  private all: readonly ReadPosition[] = [];

  constructor(
    readonly sessionId: number,
    positions: readonly ReadPosition[],
    public usedAtMs: number,
  ) {
    this.change(positions, []);
  }

  get positions(): readonly ReadPosition[] {
    return this.all;
  }

  goOn(positions: readonly ReadPosition[], forgotten: FetchSessionRequest['forgotten'], nowMs: number): void {
    this.usedAtMs = nowMs;
    this.nextEpoch = this.nextEpoch === maxInt32 ? 1 : this.nextEpoch + 1;
    if (positions.length > 0 || forgotten.length > 0) this.change(positions, forgotten);
  }

  /** Returns the partitions with records, those in error, and those whose offsets have changed since a response named them. */
  newsIn(fetched: readonly ReadPartition[]): readonly ReadPartition[] {
    return fetched.filter(({ position: { topic, partition }, error, records, startOffset, endOffset }) => {
      const told = this.partitions.get(topic)?.get(partition);
      if (told === undefined) return false;
      const isNew = records.length > 0 || error !== errorCodes.none || told.startOffset !== startOffset || told.endOffset !== endOffset;
      told.startOffset = startOffset;
      told.endOffset = error === errorCodes.none ? endOffset : -1; // so that the end of the error is told, too
      return isNew;
    });
  }

  private change(positions: readonly ReadPosition[], forgotten: FetchSessionRequest['forgotten']): void {
    for (const position of positions) {
      let byPartition = this.partitions.get(position.topic);
      if (byPartition === undefined) this.partitions.set(position.topic, (byPartition = new Map()));
      const known = byPartition.get(position.partition);
      if (known === undefined) byPartition.set(position.partition, { position, startOffset: -1, endOffset: -1 });
      else known.position = position;
    }
    for (const { topic, partition } of forgotten) {
      const byPartition = this.partitions.get(topic);
      byPartition?.delete(partition);
      if (byPartition?.size === 0) this.partitions.delete(topic);
    }
    this.all = [...this.partitions.values()].flatMap((byPartition) => [...byPartition.values()].map(({ position }) => position));
  }
}
