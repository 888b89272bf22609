import { EventReceived, eventTopics, topics } from '#libs/contracts';
import { parseStoredJson } from '#libs/json';
import { LogAlignment, RecordProducer, ensureTopics } from '#libs/messaging';
import type { AlignedPartition, GroupPosition, LogOptions } from '#libs/messaging';
import { PositionTable } from '#libs/positions';
import { statement } from '#libs/persistence';
import type { Database } from '#libs/persistence';
import { EventStore } from '../events/event.store.js';

/** The group whose position says which events have not ended. */
const flowsGroup = 'flows';

/** The deadline of an append: long, because no caller waits and a topic that was created just now has no leader for a while. */
const ackTimeoutMs = 60_000;
/** Events that are appended at once. */
const perBatch = 500;

export interface RealignOptions extends LogOptions {
  /** Replication factor of topics that are missing, and copies that an acknowledged event must have, as for a service. */
  readonly replication?: number | undefined;
  readonly ackCopies?: number | undefined;
}

export interface Realignment {
  readonly groups: number;
  /** Records from the new positions to the ends of the log, over all groups: those that are handled, many of them again. */
  readonly records: number;
  /** Events that Postgres has, the log lacks, and that are not finished. They were appended. */
  readonly appended: number;
  /** Held customers whose dead letter was lost. Their first record is tried again, and makes a new one if it fails again. */
  readonly lettersLost: number;
}

const recovering = statement('realign.recovering', 'SELECT pg_is_in_recovery() AS standby');

/** A letter is appended to the log when its customer is held already, so it can be missing where the log lost its last records. */
const retryWithoutLetter = statement(
  'realign.retryWithoutLetter',
  `UPDATE hold SET retry_requested_at = clock_timestamp()
   WHERE dead_letter_id IS NOT NULL AND retry_requested_at IS NULL
     AND NOT EXISTS (SELECT FROM dead_letter WHERE dead_letter.tenant_id = hold.tenant_id AND dead_letter.id = hold.dead_letter_id)
   RETURNING 1`,
);

/** The log and Postgres cannot be brought together as they are. */
export class RealignmentRefused extends Error {}

/**
 * Brings a log and a Postgres together of which one lost its last changes, or both: after a failover to another region or to a standby, after a restore,
 * after the loss of the log. Consumers must be down, and the doors closed, because what is appended here belongs before new events.
 *
 * - Each group goes on where this Postgres has it, which is never beyond what this Postgres has the effects of.
 * - Events that this Postgres has and that the log lacks are appended, in the order of their partition.
 * - Held customers whose dead letter was lost are tried again.
 * @throws RealignmentRefused
 */
export async function realign(database: Database, options: RealignOptions): Promise<Realignment> {
  const [server] = await database.query<{ standby: boolean }>(recovering);
  if (server!.standby) throw new RealignmentRefused('This Postgres is a standby. Promote it first.');
  await ensureTopics(options, Object.values(topics), options);
  const log = await LogAlignment.connect(options);
  try {
    const atWork = await log.groupsAtWork();
    if (atWork.length > 0)
      throw new RealignmentRefused(`Consumers are at work (${atWork.join(', ')}). Stop ai-processing, connectors and ingestion first.`);
    const positions = await new PositionTable(database).all();
    const aligned = await log.plan(positions);
    await log.align(aligned);
    const appended = await appendLacking(database, log, options, {
      positions: positions.filter(({ group }) => group === flowsGroup),
      aligned: aligned.filter(({ group }) => group === flowsGroup),
    });
    const lettersLost = (await database.query(retryWithoutLetter)).length;
    return {
      groups: new Set(aligned.map(({ group }) => group)).size,
      records: aligned.reduce((sum, { offset, end }) => sum + end - offset, 0),
      appended,
      lettersLost,
    };
  } finally {
    await log.close();
  }
}

/** Empty for a record that is no event, which the consumers park. */
function eventIdIn(value: Buffer): string {
  try {
    return (parseStoredJson(value.toString('utf8')) as Partial<EventReceived> | null)?.eventId ?? '';
  } catch {
    return '';
  }
}

/** Returns the number of events that were appended. */
async function appendLacking(
  database: Database,
  log: LogAlignment,
  options: RealignOptions,
  flows: { positions: readonly GroupPosition[]; aligned: readonly AlignedPartition[] },
): Promise<number> {
  if (flows.positions.length === 0) return 0;
  const onLog = new Set<string>();
  await log.read(flows.aligned, (value) => onLog.add(eventIdIn(value)));
  const lacking = (await new EventStore(database).unfinishedSince(flows.positions)).filter(({ eventId }) => !onLog.has(eventId));
  const producer = new RecordProducer({ ...options, ackTimeoutMs });
  await producer.connect();
  try {
    for (let at = 0; at < lacking.length; at += perBatch) {
      // At once, and in this order in each partition: the producer keeps the order of its appends.
      const batch = lacking.slice(at, at + perBatch);
      await Promise.all(batch.map((event) => producer.append(eventTopics[event.lane], EventReceived, event)));
    }
  } finally {
    await producer.disconnect();
  }
  return lacking.length;
}
