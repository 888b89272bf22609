import { randomUUID } from 'node:crypto';
import { Kafka, logLevel } from 'kafkajs';
import { eventTopics, topics } from '#libs/contracts';
import { waitFor } from '#libs/testing';

/** Bytes of keys, values and headers of all records under a prefix, and the number of events among them. */
export interface LogContents {
  readonly bytes: number;
  readonly events: number;
}

const readDeadlineMs = 300_000;

export async function readLogContents(brokers: readonly string[], prefix: string): Promise<LogContents> {
  const kafka = new Kafka({ brokers: [...brokers], clientId: 'bench', logLevel: logLevel.NOTHING, requestTimeout: 30_000 });
  const present = await endsOf(kafka, prefix);
  const open = new Map(present);
  const eventNames = new Set(Object.values(eventTopics).map(({ name }) => `${prefix}${name}`));
  const contents = { bytes: 0, events: 0 };
  if (open.size === 0) return contents;
  const consumer = kafka.consumer({ groupId: `bench-bytes-${randomUUID()}`, allowAutoTopicCreation: false });
  await consumer.connect();
  try {
    await consumer.subscribe({ topics: [...new Set([...present.keys()].map((name) => name.split('/')[0]!))], fromBeginning: true });
    await consumer.run({
      autoCommit: false,
      eachBatch: async ({ batch: { topic, partition, messages } }) => {
        for (const { key, value, headers = {} } of messages) {
          const ofHeaders = Object.entries(headers).map(([name, text]) => name.length + (text?.length ?? 0));
          contents.bytes += (key?.length ?? 0) + (value?.length ?? 0) + ofHeaders.reduce((sum, bytes) => sum + bytes, 0);
          if (eventNames.has(topic)) contents.events += 1;
        }
        const name = `${topic}/${partition}`;
        if (Number(messages.at(-1)?.offset ?? -1) + 1 >= (open.get(name) ?? 0)) open.delete(name);
      },
    });
    await waitFor(() => open.size === 0, { deadlineMs: readDeadlineMs, what: 'the log to be read' });
  } finally {
    await consumer.disconnect();
  }
  return contents;
}

/** End offsets of the partitions that are not empty, by `topic/partition`. */
async function endsOf(kafka: Kafka, prefix: string): Promise<Map<string, number>> {
  const admin = kafka.admin();
  await admin.connect();
  try {
    const existing = new Set(await admin.listTopics());
    const names = Object.values(topics)
      .map(({ name }) => `${prefix}${name}`)
      .filter((name) => existing.has(name));
    const ends = await Promise.all(
      names.map(async (name) =>
        (await admin.fetchTopicOffsets(name)).map(({ partition, high }) => [`${name}/${partition}`, Number(high)] as const),
      ),
    );
    return new Map(ends.flat().filter(([, end]) => end > 0));
  } finally {
    await admin.disconnect();
  }
}
