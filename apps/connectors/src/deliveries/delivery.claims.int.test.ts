import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { SecretBox } from '#libs/auth';
import { Configuration, Database, statement } from '#libs/persistence';
import type { Session, Statement } from '#libs/persistence';
import { freshDatabase } from '#libs/testing';
import type { FreshDatabase } from '#libs/testing';
import { DestinationHealth } from '../destinations/destination-health.js';
import { DestinationHealthTable } from '../destinations/destination-health.table.js';
import { DeliveryClaims } from './delivery.claims.js';
import { DeliveryQueueTable } from './delivery-queue.table.js';

const backlog = 100_000;

let fresh: FreshDatabase;
let database: Database;
beforeAll(async () => {
  fresh = await freshDatabase();
  database = await Database.connect({ url: fresh.url, role: 'millrace_service', applicationName: 'test' });
  await database.query(plan, ['open', backlog]);
  await database.query(open);
  for (let at = 0; at < 20; at += 1) await database.query(plan, [`calm-${at}`, 5]);
});
afterAll(async () => {
  await database.close();
  await fresh.close();
});

/** Makes the claims of one more process. */
function claimsOf(configuration: Configuration): DeliveryClaims {
  const healthTable = new DestinationHealthTable(database);
  const health = new DestinationHealth(database, healthTable, { openMs: 1_000, longestOpenMs: 1_000 });
  return new DeliveryClaims(database, new DeliveryQueueTable(database), healthTable, health, configuration);
}

/** Each to a customer of its own, so that all of them are due. */
const plan = statement(
  'test.claims.plan',
  `INSERT INTO delivery (tenant_id, id, event_id, run_id, flow, generation, step, customer, destination, payload, event_received_at, next_attempt_at)
   SELECT 'acme', $1 || '-' || n, 'evt', 'run_' || n, 'f', 0, 's', 'c' || n, $1, '{}', now(), now() FROM generate_series(1, $2::integer) AS n`,
);
const removeAll = statement('test.claims.removeAll', `DELETE FROM delivery`);
/** Two more of a destination. */
const planPart = statement(
  'test.claims.planPart',
  `INSERT INTO delivery (tenant_id, id, event_id, run_id, flow, generation, step, customer, destination, payload, event_received_at, next_attempt_at)
   SELECT 'acme', concat_ws('-', $1::text, 'part', $2::text, n), 'evt', concat_ws('_', 'run', $2::text, n), 'f', 0, 's', concat_ws('-', 'p', $2::text, n), $1::text, '{}', now(), now()
   FROM generate_series(1, 2) AS n`,
);
const claimedOf = statement(
  'test.claims.claimedOf',
  `SELECT count(*) AS claimed FROM delivery WHERE tenant_id = 'acme' AND destination = $1 AND lease_until > now()`,
);
const open = statement(
  'test.claims.open',
  `INSERT INTO destination_health (tenant_id, destination, document_version, open_since, open_until, breaker)
   VALUES ('acme', 'open', 1, now(), now() + interval '1 hour', '{"openUntilMs": 32503680000000, "openings": 1, "successes": 0, "unansweredInARow": 0, "seconds": []}')`,
);

interface Plan {
  readonly 'Shared Hit Blocks': number;
  readonly 'Shared Read Blocks': number;
}

/** A session that also notes how many pages each statement touched. */
function measuring(session: Session, touched: Map<string, number>): Session {
  return {
    async query<Row>(one: Statement, values?: readonly unknown[]): Promise<Row[]> {
      if (/^\s*(WITH|SELECT)/.test(one.text) && !one.text.includes('UPDATE')) {
        const explain = statement(`test.explain.${one.name}`, `EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ${one.text}`);
        const [row] = await session.query<{ 'QUERY PLAN': { Plan: Plan }[] }>(explain, values);
        const { 'Shared Hit Blocks': hit, 'Shared Read Blocks': read } = row!['QUERY PLAN'][0]!.Plan;
        touched.set(one.name, hit + read);
      }
      return session.query<Row>(one, values);
    },
  };
}

test('a look for what is due touches a few pages per destination, however much waits for one whose breaker is open', async () => {
  const touched = new Map<string, number>();
  const table = new DestinationHealthTable(measuring(database, touched) as Database);
  const due = await table.due();
  expect(due).toHaveLength(21);
  expect(due.find(({ destination }) => destination === 'open')!.blockedForMs).toBeGreaterThan(0);
  expect(touched.get('destinationHealth.due')).toBeLessThan(21 * 15);
});

test('everything of the others is claimed, and nothing of the one that is open', async () => {
  const configuration = new Configuration(database, { secretBox: new SecretBox(randomBytes(32)) });
  await configuration.start();
  const claims = claimsOf(configuration);
  const request = { free: 128, total: 128, leaseMs: 60_000, underWay: () => 0 };
  const claimed: string[] = [];
  for (;;) {
    const { claims: some, againInMs } = await claims.claim(request);
    claimed.push(...some.map(({ delivery }) => delivery.destination));
    if (some.length > 0) continue;
    expect(againInMs).toBeGreaterThan(3_000_000);
    break;
  }
  expect(claimed).toHaveLength(100);
  expect(claimed).not.toContain('open');
  await configuration.stop();
});

test('however many processes claim at the same moment, a destination gets no more than its concurrency', async () => {
  const configuration = new Configuration(database, { secretBox: new SecretBox(randomBytes(32)) });
  await configuration.start();
  const claims = claimsOf(configuration);
  const request = { free: 128, total: 128, leaseMs: 60_000, underWay: () => 0 };
  const claimed: string[] = [];
  for (let round = 0; round < 10; round += 1) {
    await database.query(plan, [`wanted-${round}`, 100]);
    const answers = await Promise.all(Array.from({ length: 8 }, () => claims.claim(request)));
    claimed.push(...answers.flatMap((answer) => answer.claims.map(({ delivery }) => delivery.destination)));
  }
  const counts = [...Map.groupBy(claimed, (destination) => destination).values()].map(({ length }) => length);
  expect(Math.max(...counts)).toBe(16);
  await configuration.stop();
});

test('what becomes due while several processes claim brings a destination over its concurrency at no moment', async () => {
  const configuration = new Configuration(database, { secretBox: new SecretBox(randomBytes(32)) });
  await configuration.start();
  await database.query(removeAll);
  const processes = Array.from({ length: 4 }, () => claimsOf(configuration));
  const request = { free: 128, total: 128, leaseMs: 60_000, underWay: () => 0 };
  for (let round = 0; round < 5; round += 1) {
    const destination = `filling-${round}`;
    const fill = Array.from({ length: 20 }, (_, part) => database.query(planPart, [destination, part]));
    const looks = processes.map(async (claims) => {
      let claimed = 0;
      for (let look = 0; look < 10; look += 1) claimed += (await claims.claim(request)).claims.length;
      return claimed;
    });
    await Promise.all(fill);
    const counts = await Promise.all(looks);
    expect(counts.reduce((sum, count) => sum + count, 0)).toBeLessThanOrEqual(16);
    await Promise.all(processes.map((claims) => claims.claim(request)));
    expect(await database.query(claimedOf, [destination])).toEqual([{ claimed: 16 }]);
  }
  await configuration.stop();
});

test('claims of a destination that works do not wait for its health, which a failed attempt of another process changes', async () => {
  const configuration = new Configuration(database, { secretBox: new SecretBox(randomBytes(32)) });
  await configuration.start();
  const claims = claimsOf(configuration);
  const request = { free: 128, total: 128, leaseMs: 60_000, underWay: () => 0 };
  await database.query(removeAll);
  await database.query(plan, ['changing', 4]);
  expect((await claims.claim(request)).claims).toHaveLength(4);
  await database.query(planPart, ['changing', 1]);
  await database.transaction(async (session) => {
    expect(await new DestinationHealthTable(database).lock(session, [{ tenant: 'acme', destination: 'changing' }])).toHaveLength(1);
    expect((await claims.claim(request)).claims).toHaveLength(2);
  });
  await configuration.stop();
});
