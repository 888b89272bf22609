import { Injectable } from '@nestjs/common';
import { ownerOf } from '#libs/messaging';
import type { Hold, HoldCause, HoldId, HoldStore, LoggedRecord, LogPosition, ReleasableHold } from '#libs/messaging';
import { BatchWriter, Database, columns, statement, storableText } from '#libs/persistence';
import { LogIdentityTable } from './log-identity.table.js';

const holdKey = 'tenant_id, consumer_group, topic, partition, record_key';
const ofHold = 'tenant_id = $1 AND consumer_group = $2 AND topic = $3 AND partition = $4 AND record_key = $5';

/** A record on its way to `held_record`. */
interface KeptRecord {
  readonly group: string;
  readonly record: LoggedRecord;
  /** The number of its log in `log_identity`. */
  readonly log: number;
}

const recordColumns = columns<KeptRecord>({
  tenant_id: ['text', ({ record }) => tenantOf(record)],
  consumer_group: ['text', ({ group }) => group],
  topic: ['text', ({ record }) => record.topic],
  partition: ['integer', ({ record }) => record.partition],
  record_key: ['bytea', ({ record }) => record.key],
  log: ['integer', ({ log }) => log],
  log_offset: ['bigint', ({ record }) => record.offset],
  appended_at: ['timestamptz', ({ record }) => new Date(record.timestampMs)],
  value: ['bytea', ({ record }) => record.value],
  headers: ['json', ({ record }) => JSON.stringify(storedHeaders(record.headers))],
});

/** Locks the hold, so that it cannot be closed at the same time. A record that an operator skipped stays skipped, however often the log returns it. */
const hold = statement(
  'hold.hold',
  `WITH given AS (SELECT * FROM ${recordColumns.unnest('record', 4)}),
   held AS (
     INSERT INTO hold (${holdKey}, customer, reason, cause_log, cause_offset, dead_letter_id)
     SELECT ${holdKey}, $1::text, $2::text, log, CASE $2 WHEN 'poison' THEN log_offset END, $3::text FROM given
     WHERE NOT EXISTS (
       SELECT FROM dead_letter AS letter
       WHERE letter.tenant_id = given.tenant_id AND letter.id = $3 AND letter.kind = 'record' AND letter.resolution = 'skipped')
     ON CONFLICT (${holdKey}) DO UPDATE SET
       reason = CASE EXCLUDED.reason WHEN 'poison' THEN 'poison' ELSE hold.reason END,
       cause_log = CASE EXCLUDED.reason WHEN 'poison' THEN EXCLUDED.cause_log ELSE hold.cause_log END,
       cause_offset = coalesce(EXCLUDED.cause_offset, hold.cause_offset),
       dead_letter_id = coalesce(EXCLUDED.dead_letter_id, hold.dead_letter_id),
       retry_requested_at = CASE EXCLUDED.reason WHEN 'poison' THEN NULL ELSE hold.retry_requested_at END
     RETURNING ${holdKey}),
   kept AS (
     INSERT INTO held_record (${recordColumns.names})
     SELECT ${recordColumns.names} FROM given WHERE EXISTS (SELECT FROM held) ON CONFLICT DO NOTHING)
   SELECT 1 FROM held`,
);

/** Locks the holds, so that none of them is closed between the check and the insert. Returns the numbers of the records that are held. */
const keep = statement(
  'hold.keep',
  `WITH held AS (
     SELECT input.* FROM hold JOIN ${recordColumns.unnestNumbered('input')}
     USING (${holdKey}) FOR KEY SHARE OF hold),
   kept AS (
     INSERT INTO held_record (${recordColumns.names})
     SELECT ${recordColumns.names} FROM held ON CONFLICT DO NOTHING)
   SELECT number FROM held`,
);

const partitionColumns = columns<{ topic: string; partition: number }>({
  topic: ['text', ({ topic }) => topic],
  partition: ['integer', ({ partition }) => partition],
});

/** The id of the log that a number stands for; empty for the unknown one. */
const logIdOf = (number: string, topic: string): string =>
  `coalesce((SELECT log_id FROM log_identity WHERE log_identity.topic = ${topic} AND log_identity.number = ${number}), '')`;

const ofPartitions = (more: string, where: string): string =>
  `SELECT hold.topic, hold.partition, hold.record_key AS key, hold.dead_letter_id AS "deadLetterId"${more}
   FROM ${partitionColumns.unnest('owned', 2)}
   JOIN hold ON hold.consumer_group = $1 AND hold.topic = owned.topic AND hold.partition = owned.partition ${where}`;
const holdsOf = statement('hold.ofPartitions', ofPartitions('', ''));
const releasable = statement(
  'hold.releasable',
  ofPartitions(
    `, CASE WHEN letter.kind = 'record' AND letter.resolution = 'skipped' THEN hold.cause_offset END AS "dropOffset", ${logIdOf('hold.cause_log', 'hold.topic')} AS "causeLogId"`,
    `LEFT JOIN dead_letter AS letter ON letter.tenant_id = hold.tenant_id AND letter.id = hold.dead_letter_id
     WHERE hold.reason = 'overflow' OR hold.retry_requested_at IS NOT NULL OR letter.resolved_at IS NOT NULL LIMIT 1000`,
  ),
);

const next = statement(
  'hold.next',
  `SELECT ${logIdOf('held_record.log', '$3')} AS "logId", log_offset AS "offset", appended_at AS "appendedAt", value, headers
   FROM held_record WHERE ${ofHold} ORDER BY log, log_offset LIMIT $6`,
);
const finished = statement(
  'hold.finished',
  `WITH done AS (DELETE FROM held_record WHERE ${ofHold} AND log = $6 AND log_offset = $7 RETURNING ${holdKey}, log, log_offset)
   UPDATE dead_letter SET resolved_at = clock_timestamp(), resolution = 'retried' FROM done JOIN hold USING (${holdKey})
   WHERE hold.cause_log = done.log AND hold.cause_offset = done.log_offset AND dead_letter.tenant_id = hold.tenant_id AND dead_letter.id = hold.dead_letter_id
     AND dead_letter.kind = 'record' AND dead_letter.resolved_at IS NULL`,
);

const lock = statement('hold.lock', `SELECT 1 FROM hold WHERE ${ofHold} FOR UPDATE`);
/** Runs after `hold.lock`, so its snapshot shows every record that was kept before the lock. */
const close = statement(
  'hold.close',
  `DELETE FROM hold WHERE ${ofHold} AND NOT EXISTS (SELECT FROM held_record WHERE ${ofHold}) RETURNING 1`,
);

const requestRetry = statement(
  'hold.requestRetry',
  `UPDATE hold SET retry_requested_at = clock_timestamp() WHERE tenant_id = $1 AND dead_letter_id = $2`,
);

const countRecords = statement(
  'hold.countRecords',
  `SELECT consumer_group AS "group", count(*) AS records FROM held_record GROUP BY consumer_group`,
);

interface HoldRow {
  topic: string;
  partition: number;
  key: Buffer;
  deadLetterId: string | null;
}

interface HeldRecordRow {
  logId: string;
  offset: number;
  appendedAt: Date;
  value: Buffer | null;
  headers: StoredHeaders;
}

/** The tables `hold` and `held_record`. */
@Injectable()
export class HoldTable implements HoldStore {
  private readonly logs: LogIdentityTable;
  private readonly kept = new BatchWriter<KeptRecord, boolean>({
    maxBatch: 200,
    write: (inputs) => this.keepAll(inputs),
  });

  constructor(private readonly database: Database) {
    this.logs = new LogIdentityTable(database);
  }

  async hold(group: string, record: LoggedRecord, cause: HoldCause): Promise<boolean> {
    const [reason, deadLetterId] = cause === 'overflow' ? ['overflow', null] : ['poison', cause.deadLetterId];
    const customer = storableText(ownerOf(record).customer);
    const log = await this.logs.numberOf(record);
    const held = await this.database.query(hold, [customer, reason, deadLetterId, ...recordColumns.values([{ group, record, log }])]);
    return held.length > 0;
  }

  async keep(group: string, record: LoggedRecord): Promise<boolean> {
    return this.kept.add({ group, record, log: await this.logs.numberOf(record) });
  }

  async holdsOf(group: string, partitions: readonly { topic: string; partition: number }[]): Promise<Hold[]> {
    const rows = await this.database.query<HoldRow>(holdsOf, [group, ...partitionColumns.values(partitions)]);
    return rows.map((row) => holdOf(group, row));
  }

  async releasable(group: string, partitions: readonly { topic: string; partition: number }[]): Promise<ReleasableHold[]> {
    const rows = await this.database.query<HoldRow & { dropOffset: number | null; causeLogId: string }>(releasable, [
      group,
      ...partitionColumns.values(partitions),
    ]);
    return rows.map((row) => ({
      ...holdOf(group, row),
      drop: row.dropOffset === null ? null : { logId: row.causeLogId, offset: row.dropOffset },
    }));
  }

  async next(at: HoldId, limit: number): Promise<LoggedRecord[]> {
    const rows = await this.database.query<HeldRecordRow>(next, [...valuesOf(at), limit]);
    const { topic, partition, key } = at;
    return rows.map(({ logId, offset, appendedAt, value, headers }) => {
      return { topic, partition, logId, offset, timestampMs: appendedAt.getTime(), key, value, headers: headersOf(headers) };
    });
  }

  async finished(at: HoldId, { logId, offset }: LogPosition): Promise<void> {
    const log = await this.logs.numberOf({ topic: at.topic, logId });
    await this.database.query(finished, [...valuesOf(at), log, offset]);
  }

  close(at: HoldId): Promise<boolean> {
    return this.database.transaction(async (session) => {
      const held = await session.query(lock, valuesOf(at));
      return held.length === 0 || (await session.query(close, valuesOf(at))).length > 0;
    });
  }

  /** Asks the owner of the partition to handle the dead letter's record again, and then the records that wait behind it. */
  async requestRetry(tenant: string, deadLetterId: string): Promise<void> {
    await this.database.query(requestRetry, [tenant, deadLetterId]);
  }

  /** The held records of all tenants, by consumer group. Groups without any are left out. */
  countRecords(): Promise<{ group: string; records: number }[]> {
    return this.database.query(countRecords);
  }

  private async keepAll(inputs: readonly KeptRecord[]): Promise<boolean[]> {
    const rows = await this.database.query<{ number: number }>(keep, recordColumns.values(inputs));
    const held = new Set(rows.map(({ number }) => number));
    return inputs.map((_, index) => held.has(index + 1));
  }
}

function valuesOf({ group, topic, partition, key }: HoldId): unknown[] {
  return [tenantOf({ key }), group, topic, partition, key];
}

/** Derived from the key alone, so that it is the same for a record and for a hold. */
function tenantOf({ key }: Pick<LoggedRecord, 'key'>): string {
  return storableText(ownerOf({ key, headers: undefined }).tenant);
}

function holdOf(group: string, { topic, partition, key, deadLetterId }: HoldRow): Hold {
  return { group, topic, partition, key, cause: deadLetterId === null ? 'overflow' : { deadLetterId } };
}

/** Values are base64, because a header is bytes. A header that occurs more than once has a list. */
type StoredHeaders = Record<string, string | string[]>;

function storedHeaders(headers: LoggedRecord['headers'] = {}): StoredHeaders {
  const stored = (value: Buffer | string): string => Buffer.from(value as string).toString('base64');
  return Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, Array.isArray(value) ? value.map(stored) : stored(value)]],
    ),
  );
}

function headersOf(stored: StoredHeaders): LoggedRecord['headers'] {
  const read = (value: string): Buffer => Buffer.from(value, 'base64');
  return Object.fromEntries(Object.entries(stored).map(([name, value]) => [name, Array.isArray(value) ? value.map(read) : read(value)]));
}
