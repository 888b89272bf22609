import type { PartitionLog } from '../log/partition-log.js';
import { errorCodes } from '../wire/error-codes.js';
import type { ErrorCode } from '../wire/error-codes.js';
import { WireWriter } from '../wire/wire-writer.js';
import type { Api, Broker } from './api.js';

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
  readonly records: Buffer;
}

const nothing = Buffer.alloc(0);

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
    if (minBytes > 0) await waitForRecords(positions, maxWaitMs, broker);
    return respond(await readAll(positions, maxBytes));
  },
};

/** Returns when a partition has something to read, is in error, or when the wait is over. */
async function waitForRecords(positions: readonly Position[], maxWaitMs: number, { stopping }: Broker): Promise<void> {
  const ready = ({ log, offset }: Position): boolean => log === undefined || offset !== log.endOffset;
  if (maxWaitMs <= 0 || stopping.aborted || positions.some(ready)) return;
  const grown = Promise.withResolvers<void>();
  const timer = setTimeout(grown.resolve, maxWaitMs);
  const forget = positions.flatMap(({ log }) => log?.onGrowth(grown.resolve) ?? []);
  const wake = (): void => grown.resolve();
  stopping.addEventListener('abort', wake);
  await grown.promise;
  stopping.removeEventListener('abort', wake);
  clearTimeout(timer);
  for (const stop of forget) stop();
}

async function readAll(positions: readonly Position[], maxBytes: number): Promise<Fetched[]> {
  const fetched: Fetched[] = [];
  let left = maxBytes;
  // From another place each time: where the first partitions fill the response, the last ones would never be read.
  const first = Math.floor(Math.random() * positions.length);
  for (let at = 0; at < positions.length; at += 1) {
    const position = positions[(first + at) % positions.length]!;
    const result = await readAt(position, left);
    left -= result.records.length;
    fetched.push(result);
  }
  return fetched;
}

async function readAt(position: Position, left: number): Promise<Fetched> {
  const { log, offset, maxBytes } = position;
  if (log === undefined) return { position, error: errorCodes.unknownTopicOrPartition, records: nothing };
  if (offset < log.startOffset || offset > log.endOffset) return { position, error: errorCodes.offsetOutOfRange, records: nothing };
  if (left <= 0) return { position, error: errorCodes.none, records: nothing };
  try {
    return { position, error: errorCodes.none, records: await log.read(offset, Math.min(maxBytes, left)) };
  } catch {
    return { position, error: errorCodes.storageError, records: nothing }; // retention may have removed the file meanwhile
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
      response.int32(0).int32(-1).buffer(records); // no aborted transactions, no preferred replica
    });
  });
}
