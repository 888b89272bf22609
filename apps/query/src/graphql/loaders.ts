import { Injectable } from '@nestjs/common';
import DataLoader from 'dataloader';
import { BulkOperationTable } from '../bulk-operations/bulk-operation.table.js';
import { CustomerTable } from '../customers/customer.table.js';
import { DeadLetterTable } from '../dead-letters/dead-letter.table.js';
import { HoldsTable } from '../dead-letters/hold.table.js';
import { DeliveryTable } from '../deliveries/delivery.table.js';
import { EventTable } from '../events/event.table.js';
import { RunTable } from '../runs/run.table.js';
import { TimelineTable } from '../timeline/timeline.table.js';

type Batch<Row> = (tenant: string, keys: readonly string[]) => Promise<Row[]>;

/**
 * What fields of a page's rows load, one statement per field and page however many rows there are. Nothing is remembered: a subscription has
 * one context for its whole life, and must see each event as it is then.
 */
export type Loaders = ReturnType<LoaderFactory['of']>;

@Injectable()
export class LoaderFactory {
  constructor(
    private readonly events: EventTable,
    private readonly customers: CustomerTable,
    private readonly runs: RunTable,
    private readonly deliveries: DeliveryTable,
    private readonly deadLetters: DeadLetterTable,
    private readonly holds: HoldsTable,
    private readonly timelines: TimelineTable,
    private readonly bulkOperations: BulkOperationTable,
  ) {}

  /** The loaders of one operation of this tenant. */
  of(tenant: string) {
    const loader = <Row>(batch: Batch<Row>): DataLoader<string, Row> =>
      new DataLoader((keys) => batch(tenant, [...new Set(keys)]).then((rows) => spread(keys, rows)), { cache: false });
    const { events, customers, runs, deliveries, deadLetters, holds, timelines, bulkOperations } = this;
    return {
      event: loader((of, ids) => events.byIds(of, ids)),
      eventState: loader((of, ids) => events.states(of, ids)),
      eventData: loader((of, ids) => events.data(of, ids)),
      customer: loader((of, keys) => customers.byKeys(of, keys)),
      run: loader((of, ids) => runs.byIds(of, ids)),
      runsOfEvent: loader((of, ids) => runs.ofEvents(of, ids)),
      stepsOfRun: loader((of, ids) => runs.steps(of, ids)),
      modelAttemptsOfRun: loader((of, ids) => runs.modelAttempts(of, ids)),
      delivery: loader((of, ids) => deliveries.byIds(of, ids)),
      deliveriesOfEvent: loader((of, ids) => deliveries.ofEvents(of, ids)),
      deliveriesOfRun: loader((of, ids) => deliveries.ofRuns(of, ids)),
      attemptsOfDelivery: loader((of, ids) => deliveries.attempts(of, ids)),
      deadLetter: loader((of, ids) => deadLetters.byIds(of, ids)),
      deadLettersOfEvent: loader((of, ids) => deadLetters.ofEvents(of, ids)),
      bulkOperation: loader((of, ids) => bulkOperations.byIds(of, ids)),
      holdsOfDeadLetter: loader((of, ids) => holds.ofDeadLetters(of, ids)),
      holdsOfCustomer: loader((of, keys) => holds.ofCustomers(of, keys)),
      timelineOfEvent: loader((of, ids) => timelines.ofEvents(of, ids)),
    };
  }
}

/** The rows of the distinct keys, given back to every place that asked. */
function spread<Row>(keys: readonly string[], rows: readonly Row[]): Row[] {
  const place = new Map([...new Set(keys)].map((key, at) => [key, at]));
  return keys.map((key) => rows[place.get(key)!]!);
}
