import { Injectable } from '@nestjs/common';
import { TenantDatabase, statement } from '#libs/persistence';
import type { HoldReason } from '../generated/schema.js';
import { manyPerKey } from '../graphql/batches.js';

export interface HoldRow {
  group: string;
  topic: string;
  customer: string;
  reason: HoldReason;
  deadLetterId: string | null;
  retryRequestedAt: Date | null;
  createdAt: Date;
  heldRecords: number;
}

const columns = `customer, consumer_group AS "group", topic, reason, dead_letter_id AS "deadLetterId",
  retry_requested_at AS "retryRequestedAt", created_at AS "createdAt", held_records AS "heldRecords"`;
const ofCustomers = statement('query.hold.ofCustomers', `SELECT ${columns} FROM holds_of_customers($1, $2)`);
const ofDeadLetters = statement('query.hold.ofDeadLetters', `SELECT ${columns} FROM holds_of_dead_letters($1, $2)`);

/** Records that wait; libs/holds writes them. */
@Injectable()
export class HoldsTable {
  constructor(private readonly database: TenantDatabase) {}

  async ofCustomers(tenant: string, keys: readonly string[]): Promise<HoldRow[][]> {
    return manyPerKey(keys, await this.database.query<HoldRow>(ofCustomers, [tenant, keys]), (row) => row.customer);
  }

  async ofDeadLetters(tenant: string, ids: readonly string[]): Promise<HoldRow[][]> {
    return manyPerKey(ids, await this.database.query<HoldRow>(ofDeadLetters, [tenant, ids]), (row) => row.deadLetterId ?? '');
  }
}
