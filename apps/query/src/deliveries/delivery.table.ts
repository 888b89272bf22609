import { Injectable } from '@nestjs/common';
import { TenantDatabase, statement } from '#libs/persistence';
import { loader } from '../operations/part.js';
import { manyPerKey, onePerKey } from '../operations/per-key.js';
import { conditions } from '../paging/filter.js';
import { Paging } from '../paging/paging.js';
import type { Page, ListSource, PageArguments } from '../paging/paging.js';
import type { AttemptRow, DeliveryFilter, DeliveryRow } from './delivery.operations.js';

const columns = `id, event_id AS "eventId", run_id AS "runId", customer, flow, step, generation, destination, state,
  payload, attempts AS "attemptCount", next_attempt_at AS "nextAttemptAt", error_code AS "errorCode", error_message AS "errorMessage",
  reached_at AS "reachedAt", at_least_once AS "atLeastOnce", object, created_at AS "createdAt", settled_at AS "settledAt"`;
const list: ListSource<DeliveryRow, DeliveryRow> = {
  name: 'delivery',
  page: statement('query.delivery.page', `SELECT ${columns} FROM delivery_page($1, $2, $3, $4, $5, $6)`),
  count: statement('query.delivery.count', `SELECT delivery_count($1, $2, $3) AS found`),
  positionOf: ({ createdAt, id }) => ({ key: createdAt.toISOString(), id }),
  rowOf: (row) => row,
};
const superseded = statement(
  'query.delivery.superseded',
  `SELECT FROM delivery WHERE tenant_id = $1 AND id = $2 AND is_superseded(delivery)`,
);
const byIds = statement('query.delivery.byIds', `SELECT ${columns} FROM deliveries_by_id($1, $2)`);
const ofEvents = statement('query.delivery.ofEvents', `SELECT ${columns} FROM deliveries_of_events($1, $2)`);
const ofRuns = statement('query.delivery.ofRuns', `SELECT ${columns} FROM deliveries_of_runs($1, $2)`);
const attempts = statement(
  'query.delivery.attempts',
  `SELECT delivery_id AS "deliveryId", number, outcome, status, error_code AS "errorCode", error_message AS "errorMessage",
     response_excerpt AS "responseExcerpt", started_at AS "startedAt", finished_at AS "finishedAt" FROM attempts_of_deliveries($1, $2)`,
);

@Injectable()
export class DeliveryTable {
  constructor(
    private readonly database: TenantDatabase,
    private readonly paging: Paging,
  ) {}

  page(tenant: string, filter: DeliveryFilter, page: PageArguments): Promise<Page<DeliveryRow>> {
    return this.paging.page(list, tenant, conditions({ ...filter }), page);
  }

  async byIds(tenant: string, ids: readonly string[]): Promise<(DeliveryRow | null)[]> {
    return onePerKey(ids, await this.database.query<DeliveryRow>(byIds, [tenant, ids]), (row) => row.id);
  }

  /** True if a newer delivery of the same object takes the place of this one. */
  async isSuperseded(tenant: string, id: string): Promise<boolean> {
    return (await this.database.asTenant(tenant, (session) => session.query(superseded, [tenant, id]))).length > 0;
  }

  async ofEvents(tenant: string, eventIds: readonly string[]): Promise<DeliveryRow[][]> {
    return manyPerKey(eventIds, await this.database.query<DeliveryRow>(ofEvents, [tenant, eventIds]), (row) => row.eventId);
  }

  async ofRuns(tenant: string, runIds: readonly string[]): Promise<DeliveryRow[][]> {
    return manyPerKey(runIds, await this.database.query<DeliveryRow>(ofRuns, [tenant, runIds]), (row) => row.runId);
  }

  async attempts(tenant: string, deliveryIds: readonly string[]): Promise<AttemptRow[][]> {
    return manyPerKey(deliveryIds, await this.database.query<AttemptRow>(attempts, [tenant, deliveryIds]), (row) => row.deliveryId);
  }
}

export const deliveryById = loader((get, tenant, ids) => get(DeliveryTable).byIds(tenant, ids));
export const deliveriesOfEvent = loader((get, tenant, ids) => get(DeliveryTable).ofEvents(tenant, ids));
export const deliveriesOfRun = loader((get, tenant, ids) => get(DeliveryTable).ofRuns(tenant, ids));
export const attemptsOfDelivery = loader((get, tenant, ids) => get(DeliveryTable).attempts(tenant, ids));
