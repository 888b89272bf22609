import { startTimer } from '#libs/time';
import type { PartitionLog } from '../log/partition-log.js';
import { errorCodes } from '../wire/error-codes.js';
import type { ErrorCode } from '../wire/error-codes.js';
import { WireWriter } from '../wire/wire-writer.js';
import type { Api } from './api.js';

interface Position {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly maxBytes: number;
  readonly log: PartitionLog | undefined;
}

interface Fetched {
  readonly position: Position;
  readonly error: ErrorCode;
  /** Whole batches. */
  readonly records: readonly Buffer[];
}

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
    request.int32(); // session id and epoch: every fetch is a full one
    request.int32();
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
      .flatMap(({ topic, partitions }) =>
        partitions.map((each): Position => ({ ...each, topic, log: broker.topics.partition(topic, each.partition) })),
      );
    return respond(await readEnough(positions, { minBytes, maxBytes, maxWaitMs }, broker.stopping));
  },
};

interface Wanted {
  readonly minBytes: number;
  readonly maxBytes: number;
  readonly maxWaitMs: number;
}

/** Reads until there are `minBytes`, a partition is in error, or the wait is over. */
async function readEnough(
  positions: readonly Position[],
  { minBytes, maxBytes, maxWaitMs }: Wanted,
  stopping: AbortSignal,
): Promise<Fetched[]> {
  const deadline = performance.now() + maxWaitMs;
  for (;;) {
    const grown = growthOf(positions, stopping);
    try {
      const fetched = await readAll(positions, maxBytes);
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
function growthOf(positions: readonly Position[], stopping: AbortSignal): { within(ms: number): Promise<void>; forget(): void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  const wake = (): void => resolve();
  const forget = positions.flatMap(({ log }) => log?.onGrowth(wake) ?? []);
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

function bytesIn(fetched: readonly Fetched[]): number {
  return fetched.reduce((bytes, { records }) => records.reduce((sum, piece) => sum + piece.length, bytes), 0);
}

/** No more than `maxBytes`, unless the very first batch is larger than that. */
async function readAll(positions: readonly Position[], maxBytes: number): Promise<Fetched[]> {
  const fetched: Fetched[] = [];
  let left = maxBytes;
  // From another place each time: where the first partitions fill the response, the last ones would never be read.
  const first = Math.floor(Math.random() * positions.length);
  for (let at = 0; at < positions.length; at += 1) {
    const position = positions[(first + at) % positions.length]!;
    const result = await readAt(position, left, left === maxBytes);
    left -= bytesIn([result]);
    fetched.push(result);
  }
  return fetched;
}

async function readAt(position: Position, left: number, mayExceed: boolean): Promise<Fetched> {
  const { log, offset, maxBytes } = position;
  const without = (error: ErrorCode): Fetched => ({ position, error, records: [] });
  if (log === undefined) return without(errorCodes.unknownTopicOrPartition);
  if (offset < log.startOffset || offset > log.endOffset) return without(errorCodes.offsetOutOfRange);
  if (left <= 0) return without(errorCodes.none);
  try {
    const records = await log.read(offset, Math.min(maxBytes, left));
    const result = { position, error: errorCodes.none, records };
    return mayExceed || bytesIn([result]) <= left ? result : without(errorCodes.none);
  } catch {
    return without(offset < log.startOffset ? errorCodes.offsetOutOfRange : errorCodes.storageError); // retention may have deleted it meanwhile
  }
}

function respond(fetched: readonly Fetched[]): WireWriter {
  const response = new WireWriter().int32(0).int16(errorCodes.none).int32(0);
  const topics = [...Map.groupBy(fetched, ({ position }) => position.topic)];
  return response.array(topics, ([topic, partitions]) => {
    response.string(topic).array(partitions, ({ position: { partition, log }, error, records }) => {
      const end = log?.endOffset ?? -1;
      response
        .int32(partition)
        .int16(error)
        .int64(end)
        .int64(end)
        .int64(log?.startOffset ?? -1);
      response.int32(0).int32(-1).pieces(records); // no aborted transactions, no preferred replica
    });
  });
}
