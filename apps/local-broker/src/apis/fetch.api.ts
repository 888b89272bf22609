import { startTimer } from '#libs/time';
import type { ReadPosition, ReadPartition } from '../fetching/fetch-sessions.js';
import type { PartitionLog } from '../log/partition-log.js';
import type { TopicStore } from '../log/topic-store.js';
import { errorCodes } from '../wire/error-codes.js';
import type { ErrorCode } from '../wire/error-codes.js';
import { WireWriter } from '../wire/wire-writer.js';
import type { Api, Broker } from './api.js';

export const fetch: Api = {
  key: 1,
  name: 'Fetch',
  minVersion: 11,
  maxVersion: 11,
  async handle(request, broker) {
    request.int32(); // replica id
    const maxWaitMs = request.int32();
    const minBytes = request.int32();
    const maxBytes = request.int32();
    request.int8(); // isolation level: there are no transactions here
    const sessionId = request.int32();
    const sessionEpoch = request.int32();
    const positions = request
      .array(() => ({
        topic: request.string(),
        partitions: request.array(() => {
          const partition = request.int32();
          request.int32(); // leader epoch
          const offset = request.int64();
          request.int64(); // log start offset
          return { partition, offset, maxBytes: request.int32() };
        }),
      }))
      .flatMap(({ topic, partitions }) => partitions.map((each) => ({ ...each, topic })));
    const forgotten = request
      .array(() => ({ topic: request.string(), partitions: request.array(() => request.int32()) }))
      .flatMap(({ topic, partitions }) => partitions.map((partition) => ({ topic, partition })));
    const context = broker.fetchSessions.contextOf({ sessionId, sessionEpoch, positions, forgotten });
    if (typeof context === 'number') return respond(context, 0, []);
    const fetched = await readEnough(context.positions, { minBytes, maxBytes, maxWaitMs }, broker);
    return respond(errorCodes.none, context.sessionId, context.newsIn(fetched));
  },
};

interface Wanted {
  readonly minBytes: number;
  readonly maxBytes: number;
  readonly maxWaitMs: number;
}

/** Reads until there are `minBytes`, a partition is in error, or the wait is over. */
async function readEnough(
  positions: readonly ReadPosition[],
  { minBytes, maxBytes, maxWaitMs }: Wanted,
  { topics, stopping }: Broker,
): Promise<ReadPartition[]> {
  if (positions.length === 0) return [];
  const deadline = performance.now() + maxWaitMs;
  for (;;) {
    const grown = growthOf(positions, topics, stopping);
    try {
      const fetched = await readAll(positions, topics, maxBytes);
      const leftMs = deadline - performance.now();
      if (bytesIn(fetched) >= minBytes || fetched.some(({ error }) => error !== errorCodes.none)) return fetched;
      if (leftMs <= 0 || stopping.aborted) return fetched;
      await grown.within(leftMs);
    } finally {
      grown.forget();
    }
  }
}

/** Watches from now on, so that nothing is missed between a look and the wait. */
function growthOf(
  positions: readonly ReadPosition[],
  topics: TopicStore,
  stopping: AbortSignal,
): { within(ms: number): Promise<void>; forget(): void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  const wake = (): void => resolve();
  const forget = positions.flatMap(({ topic, partition }) => topics.partition(topic, partition)?.onGrowth(wake) ?? []);
  stopping.addEventListener('abort', wake);
  return {
    within: async (ms) => {
      const timer = startTimer(wake, ms);
      await promise;
      clearTimeout(timer);
    },
    forget: () => {
      for (const stop of forget) stop();
      stopping.removeEventListener('abort', wake);
    },
  };
}

function bytesIn(fetched: readonly ReadPartition[]): number {
  return fetched.reduce((bytes, { records }) => records.reduce((sum, piece) => sum + piece.length, bytes), 0);
}

/** No more than `maxBytes`, unless the very first batch is larger than that. */
async function readAll(positions: readonly ReadPosition[], topics: TopicStore, maxBytes: number): Promise<ReadPartition[]> {
  const fetched: ReadPartition[] = [];
  let left = maxBytes;
  // From another place each time: where the first partitions fill the response, the last ones would never be read.
  const first = Math.floor(Math.random() * positions.length);
  for (let at = 0; at < positions.length; at += 1) {
    const position = positions[(first + at) % positions.length]!;
    const result = readAt(position, topics, left, left === maxBytes);
    const settled = result instanceof Promise ? await result : result; // most partitions of a fetch have nothing new
    left -= bytesIn([settled]);
    fetched.push(settled);
  }
  return fetched;
}

function readAt(position: ReadPosition, topics: TopicStore, left: number, mayExceed: boolean): ReadPartition | Promise<ReadPartition> {
  const { topic, partition, offset } = position;
  const log = topics.partition(topic, partition);
  const { startOffset, endOffset } = log ?? { startOffset: -1, endOffset: -1 };
  const without = (error: ErrorCode): ReadPartition => ({ position, error, records: [], startOffset, endOffset });
  if (log === undefined) return without(errorCodes.unknownTopicOrPartition);
  if (offset < startOffset || offset > endOffset) return without(errorCodes.offsetOutOfRange);
  if (left <= 0 || offset === endOffset) return without(errorCodes.none);
  return recordsAt(position, log, left, mayExceed);
}

async function recordsAt(position: ReadPosition, log: PartitionLog, left: number, mayExceed: boolean): Promise<ReadPartition> {
  const { offset, maxBytes } = position;
  const result = (error: ErrorCode, records: readonly Buffer[]): ReadPartition => {
    const { startOffset, endOffset } = log;
    return { position, error, records, startOffset, endOffset };
  };
  try {
    const found = result(errorCodes.none, await log.read(offset, Math.min(maxBytes, left)));
    return mayExceed || bytesIn([found]) <= left ? found : result(errorCodes.none, []);
  } catch {
    return result(offset < log.startOffset ? errorCodes.offsetOutOfRange : errorCodes.storageError, []); // retention may have deleted it meanwhile
  }
}

function respond(error: ErrorCode, sessionId: number, fetched: readonly ReadPartition[]): WireWriter {
  const response = new WireWriter().int32(0).int16(error).int32(sessionId);
  const topics = [...Map.groupBy(fetched, ({ position }) => position.topic)];
  return response.array(topics, ([topic, partitions]) => {
    response.string(topic).array(partitions, ({ position: { partition }, error: ofPartition, records, startOffset, endOffset }) => {
      response.int32(partition).int16(ofPartition).int64(endOffset).int64(endOffset).int64(startOffset);
      response.int32(0).int32(-1).pieces(records); // no aborted transactions, no preferred replica
    });
  });
}
