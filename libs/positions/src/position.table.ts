import { Injectable } from '@nestjs/common';
import type { GroupPosition, PositionStore } from '#libs/messaging';
import { Database, columns, statement } from '#libs/persistence';

const positionColumns = columns<GroupPosition>({
  consumer_group: ['text', ({ group }) => group],
  topic: ['text', ({ topic }) => topic],
  partition: ['integer', ({ partition }) => partition],
  log_id: ['text', ({ logId }) => logId],
  log_offset: ['bigint', ({ offset }) => offset],
  appended_at: ['timestamptz', ({ appendedAtMs }) => new Date(appendedAtMs)],
});

/** Sorted, so that two processes cannot wait for each other. */
const save = statement(
  'position.save',
  `INSERT INTO group_position (${positionColumns.names})
   SELECT ${positionColumns.names} FROM ${positionColumns.unnest('given')} ORDER BY consumer_group, topic, partition
   ON CONFLICT (consumer_group, topic, partition) DO UPDATE SET
     log_id = EXCLUDED.log_id, log_offset = EXCLUDED.log_offset, appended_at = EXCLUDED.appended_at, saved_at = clock_timestamp()`,
);

const all = statement(
  'position.all',
  `SELECT consumer_group AS "group", topic, partition, log_id AS "logId", log_offset AS "offset", appended_at AS "appendedAt"
   FROM group_position ORDER BY consumer_group, topic, partition`,
);

const newest = statement('position.newest', 'SELECT max(saved_at) AS at FROM group_position');

/** The table `group_position`: how far each consumer group was, as of the rows beside it. */
@Injectable()
export class PositionTable implements PositionStore {
  constructor(private readonly database: Database) {}

  /** @throws StorageUnavailable */
  async save(positions: readonly GroupPosition[]): Promise<void> {
    await this.database.query(save, positionColumns.values(positions));
  }

  /**
   * When a position was saved last; null if none ever was.
   * @throws StorageUnavailable
   */
  async newest(): Promise<Date | null> {
    const [row] = await this.database.query<{ at: Date | null }>(newest);
    return row!.at;
  }

  /** @throws StorageUnavailable */
  async all(): Promise<GroupPosition[]> {
    const rows = await this.database.query<Omit<GroupPosition, 'appendedAtMs'> & { appendedAt: Date }>(all);
    return rows.map(({ appendedAt, ...position }) => ({ ...position, appendedAtMs: appendedAt.getTime() }));
  }
}
