import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { SecretBox } from '#libs/auth';
import { deliveryId, newRunId } from '#libs/contracts';
import { Configuration, Database, statement } from '#libs/persistence';
import { freshDatabase, rowsRead } from '#libs/testing';
import type { FreshDatabase } from '#libs/testing';
import { DestinationHealth } from '../destinations/destination-health.js';
import { DestinationHealthTable } from '../destinations/destination-health.table.js';
import { observationOf } from './attempt.observation.js';
import { DeliveryClaims } from './delivery.claims.js';
import { DeliveryQueueTable } from './delivery-queue.table.js';
import type { Settled } from './delivery-queue.table.js';
import type { NewDelivery } from '#libs/deliveries';

const stored = 20_000;
/** More than the five times after which Postgres may choose a plan that fits no values in particular. */
const times = 12;
/** Rows of one table, by all statements together. */
const perTime = 100;

let fresh: FreshDatabase;
let database: Database;
let configuration: Configuration;
let table: DeliveryQueueTable;
let health: DestinationHealth;
let claims: DeliveryClaims;

beforeAll(async () => {
  fresh = await freshDatabase();
  database = await Database.connect({ url: fresh.url, role: 'millrace_service', applicationName: 'test', poolSize: 1 });
  await database.query(fillDeliveries, [stored]);
  await database.query(fillAttempts, [stored]);
  configuration = new Configuration(database, { secretBox: new SecretBox(randomBytes(32)) });
  await configuration.start();
  const healthTable = new DestinationHealthTable(database);
  table = new DeliveryQueueTable(database);
  health = new DestinationHealth(database, healthTable, { openMs: 1_000, longestOpenMs: 1_000 });
  claims = new DeliveryClaims(database, table, healthTable, health, configuration);
});
afterAll(async () => {
  await configuration.stop();
  await database.close();
  await fresh.close();
});

const fillDeliveries = statement(
  'test.plans.fillDeliveries',
  `INSERT INTO delivery (tenant_id, id, event_id, run_id, flow, generation, step, customer, destination, payload, state, attempts, event_received_at)
   SELECT 'acme', 'dlv_' || md5(n::text), 'evt_' || md5(n::text), 'run_' || md5(n::text), 'f', 0, 's', 'c-' || n % 100, 'd', '{}', 'delivered', 1, now()
   FROM generate_series(1, $1) AS n`,
);
const fillAttempts = statement(
  'test.plans.fillAttempts',
  `INSERT INTO attempt (tenant_id, delivery_id, number, event_id, outcome, started_at, finished_at, announced)
   SELECT 'acme', 'dlv_' || md5(n::text), 1, 'evt_' || md5(n::text), 'succeeded', now(), now(), true FROM generate_series(1, $1) AS n`,
);

function deliveryOf(n: number): NewDelivery {
  const run = { tenant: 'acme', runId: newRunId(), eventId: `evt_new-${n}`, flow: 'f', generation: 0 };
  const id = deliveryId(run, 's', 'd');
  return {
    ...run,
    id,
    step: 's',
    customer: `c-${n % 100}`,
    destination: 'd',
    payload: '{}',
    strict: false,
    object: null,
    atLeastOnce: false,
    traceparent: undefined,
    eventReceivedAt: new Date().toISOString(),
  };
}

const toBeRetried = {
  state: 'pending',
  error: { code: 'delivery.unavailable', message: 'down' },
  isUncertain: false,
  retryInMs: 0,
} as const;
const delivered = { state: 'delivered', error: null, isUncertain: false, retryInMs: null } as const;

/** The way of a delivery through Postgres: planned, claimed, tried twice and announced. */
async function take(n: number): Promise<void> {
  await table.insert([deliveryOf(n)]);
  for (const more of [toBeRetried, delivered]) {
    const taken = await claims.claim({ free: 10, total: 10, underWay: () => 0, leaseMs: 60_000 });
    expect(taken.claims).toHaveLength(1);
    const delivery = taken.claims[0]!.delivery;
    await table.renew([delivery], 60_000);
    const at = new Date();
    const attempt = { startedAt: at, finishedAt: at, status: null, excerpt: null, ...more };
    const [{ number }] = (await table.settle([{ delivery, attempt }])) as [Settled];
    await health.note(delivery, observationOf(null, 1));
    await table.unannounced(0, 100);
    await table.markAnnounced([{ ...delivery, deliveryId: delivery.id, number: number! }]);
  }
}

test.each(['without', 'with'])('no statement of a delivery’s way reads much of a table, %s statistics', async (statistics) => {
  if (statistics === 'with') await fresh.analyze();
  const rows = await rowsRead(database, ['delivery', 'attempt'], 3 * times, async () => {
    for (let n = 0; n < times; n += 1) await take(n + (statistics === 'with' ? times : 0));
  });
  expect(rows).toBeLessThan(times * perTime);
});

/** They read all that is pending: only statistics can say that this is little. */
test('the backlog and the look for overlong waits read little of the table, with statistics', async () => {
  await fresh.analyze();
  await table.insert([deliveryOf(0)]);
  const rows = await rowsRead(database, ['delivery'], 1, async () => {
    await table.insert([deliveryOf(1)]);
    expect(await table.backlog()).toMatchObject([{ tenant: 'acme', pending: 2 }]);
    expect(await table.endOverlongWaits()).toBe(0);
  });
  expect(rows).toBeLessThan(times * perTime);
});
