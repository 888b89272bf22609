import { Injectable } from '@nestjs/common';
import { TenantDatabase, statement } from '#libs/persistence';
import { loader } from '../operations/part.js';
import { manyPerKey, onePerKey } from '../operations/per-key.js';
import type { HoldRow } from './dead-letter.operations.js';

const columns = `customer, consumer_group AS "group", topic, reason, dead_letter_id AS "deadLetterId",
  retry_requested_at AS "retryRequestedAt", created_at AS "createdAt", held_records AS "heldRecords"`;
const ofCustomers = statement('query.hold.ofCustomers', `SELECT ${columns} FROM holds_of_customers($1, $2)`);
const ofDeadLetters = statement('query.hold.ofDeadLetters', `SELECT ${columns} FROM holds_of_dead_letters($1, $2)`);
const ofEvents = statement('query.hold.ofEvents', `SELECT event_id AS "eventId", ${columns} FROM holds_of_events($1, $2)`);

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

  /** Null for an event whose record does not wait, or failed itself. */
  async ofEvents(tenant: string, ids: readonly string[]): Promise<(HoldRow | null)[]> {
    return onePerKey(ids, await this.database.query<HoldRow & { eventId: string }>(ofEvents, [tenant, ids]), (row) => row.eventId);
  }
}

export const holdsOfDeadLetter = loader((get, tenant, ids) => get(HoldsTable).ofDeadLetters(tenant, ids));
export const holdsOfCustomer = loader((get, tenant, keys) => get(HoldsTable).ofCustomers(tenant, keys));
export const holdOfEvent = loader((get, tenant, ids) => get(HoldsTable).ofEvents(tenant, ids));
