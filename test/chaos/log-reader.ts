import { randomUUID } from 'node:crypto';
import { Kafka, logLevel } from 'kafkajs';
import type { EachBatchPayload } from 'kafkajs';
import { eventTopics, topics } from '#libs/contracts';
import type { EventReceived, RunCompleted } from '#libs/contracts';
import { waitFor } from '#libs/testing';
import { chaosTenant } from './documents.js';
import { entries } from './entry-list.js';
import { logPrefix } from './system.js';

/** The contents of the log after the run. */
export interface LogEvidence {
  readonly events: readonly EventOnLog[];
  /** Events of the pull. */
  readonly pulled: readonly EventOnLog[];
  readonly completions: readonly CompletionOnLog[];
  /** Records of all topics. */
  readonly records: number;
}

/** The position and key of a record. */
interface RecordOnLog {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  /** The key on the log, `tenant/customer`. */
  readonly key: string;
}

export interface EventOnLog extends RecordOnLog {
  readonly eventId: string;
  readonly customer: string;
  readonly lane: string;
  readonly ticket: string;
}

export interface CompletionOnLog extends RecordOnLog {
  readonly runId: string;
  readonly decision: string;
}

const readDeadlineMs = 120_000;

const onLog = (name: string): string => `${logPrefix}${name}`;
const eventTopicNames = new Set(Object.values(eventTopics).map(({ name }) => onLog(name)));
const topicNames = Object.values(topics).map(({ name }) => onLog(name));

export function logClient(brokers: readonly string[]): Kafka {
  return new Kafka({ brokers: [...brokers], clientId: 'chaos', logLevel: logLevel.NOTHING, requestTimeout: 10_000, retry: { retries: 3 } });
}

export async function readLog(brokers: readonly string[]): Promise<LogEvidence> {
  const kafka = logClient(brokers);
  const ends = await endsOf(kafka);
  const evidence = { events: [] as EventOnLog[], pulled: [] as EventOnLog[], completions: [] as CompletionOnLog[], records: 0 };
  const consumer = kafka.consumer({ groupId: `chaos-reader-${randomUUID()}`, allowAutoTopicCreation: false });
  await consumer.connect();
  try {
    await consumer.subscribe({ topics: topicNames, fromBeginning: true });
    await consumer.run({
      autoCommit: false,
      eachBatch: async ({ batch }) => {
        readBatch(evidence, batch);
        if (Number(batch.lastOffset()) + 1 >= (ends.get(`${batch.topic}/${batch.partition}`) ?? 0))
          ends.delete(`${batch.topic}/${batch.partition}`);
      },
    });
    await waitFor(() => ends.size === 0, { deadlineMs: readDeadlineMs, what: 'the whole log to be read' });
  } finally {
    await consumer.disconnect();
  }
  return evidence;
}

/** End offsets of the partitions that are not empty, by `topic/partition`. */
async function endsOf(kafka: Kafka): Promise<Map<string, number>> {
  const admin = kafka.admin();
  await admin.connect();
  const ends = new Map<string, number>();
  for (const topic of topicNames) {
    for (const { partition, high } of await admin.fetchTopicOffsets(topic))
      if (high !== '0') ends.set(`${topic}/${partition}`, Number(high));
  }
  await admin.disconnect();
  return ends;
}

function readBatch(
  evidence: { events: EventOnLog[]; pulled: EventOnLog[]; completions: CompletionOnLog[]; records: number },
  { topic, partition, messages }: EachBatchPayload['batch'],
): void {
  for (const { offset, key, value, headers } of messages) {
    evidence.records += 1;
    const record = { topic, partition, offset: Number(offset), key: key?.toString() ?? '' };
    if (!record.key.startsWith(`${chaosTenant}/`)) continue; // of the hostile tenant
    if (eventTopicNames.has(topic)) {
      const { eventId, customer, lane, providerEventId, source } = JSON.parse(value!.toString()) as EventReceived;
      const list = source === 'partner' ? evidence.events : source === entries ? evidence.pulled : undefined;
      list?.push({ ...record, eventId, customer, lane, ticket: providerEventId ?? '' }); // undefined: a tick
    } else if (headers?.['mr_schema']?.toString() === 'run.completed.v1') {
      const { runId, decision, flow } = JSON.parse(value!.toString()) as RunCompleted;
      if (flow !== 'triage') continue; // of a tick
      evidence.completions.push({ ...record, runId, decision: JSON.stringify(decision) });
    }
  }
}
