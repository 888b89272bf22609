import { errorCodes } from '../wire/error-codes.js';
import { WireWriter } from '../wire/wire-writer.js';
import type { Api, Broker } from './api.js';

interface PartitionBatch {
  readonly partition: number;
  readonly batch: Buffer;
}

export const produce: Api = {
  key: 0,
  name: 'Produce',
  minVersion: 7,
  maxVersion: 7,
  async handle(request, broker) {
    request.nullableString(); // transactional id: there are no transactions here
    const acks = request.int16();
    request.int32(); // timeout: nothing here waits for replicas
    const topics = request.array(() => ({
      topic: request.string(),
      partitions: request.array((): PartitionBatch => ({ partition: request.int32(), batch: request.buffer() })),
    }));
    const results = await Promise.all(
      topics.map(async ({ topic, partitions }) => ({
        topic,
        partitions: await Promise.all(partitions.map((batch) => appendTo(broker, topic, batch))),
      })),
    );
    if (acks === 0) return undefined;
    const response = new WireWriter();
    response.array(results, ({ topic, partitions }) => {
      response.string(topic).array(partitions, ({ partition, error, baseOffset, startOffset }) => {
        response.int32(partition).int16(error).int64(baseOffset).int64(-1).int64(startOffset);
      });
    });
    return response.int32(0);
  },
};

async function appendTo({ topics }: Broker, topic: string, { partition, batch }: PartitionBatch) {
  const log = topics.partition(topic, partition);
  if (log === undefined) return { partition, error: errorCodes.unknownTopicOrPartition, baseOffset: -1, startOffset: -1 };
  return { partition, ...(await log.append(batch)), startOffset: log.startOffset };
}
