import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Database, statement } from '#libs/persistence';
import { freshDatabase, uniqueName } from '#libs/testing';
import type { FreshDatabase } from '#libs/testing';
import { DeliveryQueueTable } from './delivery-queue.table.js';
import type { NewDelivery } from '#libs/deliveries';
import type { AttemptResult, ClaimedDelivery } from './delivery-queue.table.js';

let fresh: FreshDatabase;
let database: Database;
let table: DeliveryQueueTable;

beforeAll(async () => {
  fresh = await freshDatabase();
  database = await Database.connect({ url: fresh.url, role: 'millrace_service', applicationName: 'test' });
  table = new DeliveryQueueTable(database);
});
afterAll(async () => {
  await database.close();
  await fresh.close();
});

/** Deliveries of one tenant of the test's own, so that tests do not claim each other's. */
function tenantOf() {
  const tenant = uniqueName('t');
  const delivery = (id: string, more: Partial<NewDelivery> = {}): NewDelivery => ({
    tenant,
    id: `${tenant}-${id}`,
    eventId: `evt_${id}`,
    runId: `run_${id}`,
    flow: 'f',
    generation: 0,
    step: 's',
    customer: 'c',
    destination: 'd',
    payload: '{}',
    strict: false,
    object: null,
    atLeastOnce: false,
    traceparent: undefined,
    eventReceivedAt: '2026-11-21T10:00:00.000Z',
    ...more,
  });
  const claim = async (options: { free?: number; concurrency?: number; destinations?: string[] } = {}) => {
    const { free = 10, concurrency = 10, destinations = ['d', 'e'] } = options;
    const rooms = destinations.map((destination) => ({ tenant, destination, free, concurrency, mode: 'ruled' as const }));
    return (await table.claim(rooms, 5_000)).deliveries;
  };
  const short = (claimed: readonly ClaimedDelivery[]): string[] => claimed.map(({ id }) => id.slice(tenant.length + 1));
  return { tenant, delivery, claim, short };
}

const releaseAll = () =>
  database.query(statement('test.releaseAll', 'UPDATE delivery SET lease_until = NULL WHERE lease_until IS NOT NULL'));
const stateOf = async ({ tenant, id }: ClaimedDelivery) => {
  const [row] = await database.query<{ state: string }>(
    statement('test.stateOf', 'SELECT state FROM delivery WHERE tenant_id = $1 AND id = $2'),
    [tenant, id],
  );
  return row?.state;
};

/** One attempt recorded on its own. */
const settle = async (delivery: ClaimedDelivery, attempt: AttemptResult) => (await table.settle([{ delivery, attempt }]))[0]!.number;

const ended = (state: AttemptResult['state'], retryInMs: number | null = null): AttemptResult => ({
  startedAt: new Date(),
  finishedAt: new Date(),
  status: 200,
  excerpt: 'ok\u0000',
  error: state === 'delivered' ? null : { code: 'delivery.unavailable', message: 'down' },
  state,
  retryInMs,
  isUncertain: false,
});

test('the payload that is claimed is the text that was put in, character for character', async () => {
  const { delivery, claim } = tenantOf();
  const payload = '{ "z": 1.0, "a": "\\u0000\\ud800", "z": 2 }';
  await table.insert([delivery('1', { payload })]);
  expect((await claim())[0]?.payload).toBe(payload);
});

test('the same delivery twice is one', async () => {
  const { delivery, claim } = tenantOf();
  expect(await table.insert([delivery('1')])).toBe(1);
  expect(await table.insert([delivery('1'), delivery('2', { customer: 'x' })])).toBe(1);
  expect(await claim()).toHaveLength(2);
});

test('the same step of the same run is one delivery, also where an older build gave it an id of another form', async () => {
  const { tenant, delivery, claim, short } = tenantOf();
  await table.insert([delivery('1')]);
  expect(await table.insert([delivery('1', { id: 'dlv_older' }), delivery('2', { runId: 'run_1', step: 'other' })])).toBe(1);
  expect(short(await claim())).toEqual(['1']);
  const asOlderBuild = statement(
    'test.olderBuild',
    `INSERT INTO delivery (tenant_id, id, event_id, run_id, flow, generation, step, customer, destination, payload, event_received_at)
     VALUES ($1, 'dlv_older', 'evt_1', 'run_1', 'f', 0, 's', 'c', 'd', '{}', now()) ON CONFLICT DO NOTHING RETURNING id`,
  );
  expect(await database.query(asOlderBuild, [tenant])).toEqual([]);
});

test('a claimed delivery is nobody else’s until its claim runs out or is given back', async () => {
  const { delivery, claim } = tenantOf();
  await table.insert([delivery('1')]);
  const [first] = await claim();
  expect(await claim()).toEqual([]);
  await table.release(first!, null);
  const [second] = await claim();
  expect(second!.fence).toBe(first!.fence + 1);
  expect(await settle(first!, ended('delivered'))).toBeUndefined();
  expect(await table.renew([first!, second!], 5_000)).toEqual(new Set([second!.id]));
  expect(await settle(second!, ended('delivered'))).toBe(1);
});

describe('what may have reached the destination', () => {
  const timedOut = { ...ended('pending', 0), isUncertain: true };
  const outcomes = statement('test.outcomes', 'SELECT outcome FROM attempt WHERE tenant_id = $1 ORDER BY number');

  test('the first attempt that it took, or may have taken, counts; one that certainly failed does not', async () => {
    const { tenant, delivery, claim } = tenantOf();
    await table.insert([delivery('1')]);
    const [failing] = await claim();
    expect(failing).toMatchObject({ reachedAt: null, atLeastOnce: false });
    await settle(failing!, ended('pending', 0));
    const [uncertain] = await claim();
    expect(uncertain!.reachedAt).toBeNull();
    await settle(uncertain!, timedOut);
    const [third] = await claim();
    expect(third!.reachedAt).toEqual(timedOut.startedAt);
    await settle(third!, ended('delivered'));
    expect(await database.query(outcomes, [tenant])).toEqual([{ outcome: 'failed' }, { outcome: 'uncertain' }, { outcome: 'succeeded' }]);
    await table.restart(tenant, third!.id, 'cmd_1', false);
    expect((await claim())[0]!.reachedAt).toEqual(timedOut.startedAt);
  });

  test('a delivery that was taken has reached it, until someone accepts a second effect', async () => {
    const { tenant, delivery, claim } = tenantOf();
    await table.insert([delivery('1', { atLeastOnce: true })]);
    const [first] = await claim();
    const attempt = ended('delivered');
    await settle(first!, attempt);
    await table.restart(tenant, first!.id, 'cmd_1', false);
    const [again] = await claim();
    expect(again).toMatchObject({ reachedAt: attempt.startedAt, atLeastOnce: true });
    await settle(again!, ended('parked'));
    await table.restart(tenant, first!.id, 'cmd_2', true);
    expect((await claim())[0]!.reachedAt).toBeNull();
  });

  test('a claim that ran out may have been followed by an attempt; one that was given back says so itself', async () => {
    const { delivery, claim } = tenantOf();
    await table.insert([delivery('1'), delivery('2', { customer: 'x' }), delivery('3', { customer: 'y' })]);
    const [lost, unsent, aborted] = (await claim()).toSorted((one, other) => one.id.localeCompare(other.id));
    const renewed = statement(
      'test.runOut',
      `UPDATE delivery SET lease_until = now() - interval '1 second' WHERE tenant_id = $1 AND id = $2 RETURNING lease_until AS "leaseUntil"`,
    );
    const [{ leaseUntil }] = (await database.query<{ leaseUntil: Date }>(renewed, [lost!.tenant, lost!.id])) as [{ leaseUntil: Date }];
    await table.release(unsent!, null);
    const attemptedAt = new Date('2026-11-29T10:00:00.000Z');
    await table.release(aborted!, attemptedAt);
    const again = (await claim()).toSorted((one, other) => one.id.localeCompare(other.id));
    expect(again.map(({ reachedAt }) => reachedAt)).toEqual([new Date(leaseUntil.getTime() - 5_000), null, attemptedAt]);
  });
});

describe('superseding', () => {
  const states = statement('test.states', 'SELECT state FROM delivery WHERE tenant_id = $1 ORDER BY position');
  const statesOf = async (tenant: string) => (await database.query<{ state: string }>(states, [tenant])).map(({ state }) => state);

  test('a newer delivery takes the place of those of its object that wait, and of no other', async () => {
    const { tenant, delivery, claim, short } = tenantOf();
    const other = [
      delivery('2', { object: 'b' }),
      delivery('3'),
      delivery('4', { object: 'a', customer: 'x' }),
      delivery('5', { object: 'a', destination: 'e' }),
    ];
    await table.insert([delivery('1', { object: 'a' }), ...other]);
    await table.insert([delivery('6', { object: 'a' })]);
    expect(await statesOf(tenant)).toEqual(['superseded', 'pending', 'pending', 'pending', 'pending', 'pending']);
    expect(short(await claim()).toSorted()).toEqual(['2', '4', '5']);
  });

  test('of several that are planned at once, only the last is sent', async () => {
    const { tenant, delivery, claim, short } = tenantOf();
    await table.insert([delivery('1', { object: 'a' }), delivery('2', { object: 'a' }), delivery('3', { object: 'a' })]);
    expect(await statesOf(tenant)).toEqual(['superseded', 'superseded', 'pending']);
    expect(short(await claim())).toEqual(['3']);
  });

  test('one that is being attempted goes on, and is not retried', async () => {
    const { tenant, delivery, claim, short } = tenantOf();
    await table.insert([delivery('1', { object: 'a' })]);
    const [first] = await claim();
    await table.insert([delivery('2', { object: 'a' })]);
    expect(await statesOf(tenant)).toEqual(['pending', 'pending']);
    expect(await table.settle([{ delivery: first!, attempt: ended('pending', 0) }])).toEqual([
      { number: 1, state: 'superseded', gaveTurn: true },
    ]);
    expect(short(await claim())).toEqual(['2']);
  });

  test('one that waits beside its queue for a retry is superseded', async () => {
    const { tenant, delivery, claim } = tenantOf();
    await table.insert([delivery('1', { object: 'a' })]);
    const [first] = await claim();
    await settle(first!, ended('pending', 60_000));
    await table.insert([delivery('2', { object: 'a' })]);
    expect(await statesOf(tenant)).toEqual(['superseded', 'pending']);
  });

  test('a redelivery changes nothing if a newer one was delivered, and is made if the newer one was given up', async () => {
    const { tenant, delivery, claim } = tenantOf();
    await table.insert([delivery('1', { object: 'a' })]);
    const [first] = await claim();
    await settle(first!, ended('parked'));
    await table.insert([delivery('2', { object: 'a' })]);
    const [second] = await claim();
    await settle(second!, ended('delivered'));
    expect(await table.restart(tenant, first!.id, 'cmd_1', true)).toBe('applied');
    expect(await statesOf(tenant)).toEqual(['parked', 'delivered']);
    await table.restart(tenant, second!.id, 'cmd_2', true);
    await settle((await claim())[0]!, ended('parked'));
    await table.restart(tenant, first!.id, 'cmd_3', true);
    expect(await statesOf(tenant)).toEqual(['pending', 'parked']);
  });

  test('the same plan again changes nothing, and an older build plans without objects', async () => {
    const { tenant, delivery } = tenantOf();
    const both = [delivery('1', { object: 'a' }), delivery('2', { object: 'b' })];
    await table.insert(both);
    await table.insert(both);
    expect(await statesOf(tenant)).toEqual(['pending', 'pending']);
    const asOlderBuild = statement(
      'test.olderPlan',
      `SELECT plan_deliveries(ARRAY[$1], ARRAY['dlv_old'], ARRAY['evt_o'], ARRAY['run_o'], ARRAY['f'], ARRAY[0], ARRAY['s'], ARRAY['c'], ARRAY['d'],
         ARRAY['{}'::json], ARRAY[false], ARRAY[NULL]::text[], ARRAY[now()]) AS added`,
    );
    expect(await database.query(asOlderBuild, [tenant])).toEqual([{ added: 1 }]);
    expect(await statesOf(tenant)).toEqual(['pending', 'pending', 'pending']);
  });
});

test('a wait that is longer than any that is made ends, and the lease of an attempt under way is shortened', async () => {
  const { tenant, delivery, claim, short } = tenantOf();
  await table.insert(['retry', 'soon', 'held'].map((id) => delivery(id, { customer: id })));
  const claimed = await claim();
  const [retry, soon, held] = ['retry', 'soon', 'held'].map((id) => claimed.find((one) => one.id === `${tenant}-${id}`)!);
  await settle(retry!, ended('pending', 30 * 86_400_000));
  await settle(soon!, ended('pending', 7 * 86_400_000));
  await table.renew([held!], 7_200_000);
  expect(await claim()).toEqual([]);

  expect(await table.endOverlongWaits()).toBe(2);
  expect(short(await claim())).toEqual(['retry']);
  const leaseLeft = statement(
    'test.leaseLeft',
    'SELECT extract(epoch FROM lease_until - clock_timestamp())::float8 AS seconds FROM delivery WHERE tenant_id = $1 AND id = $2',
  );
  const [left] = await database.query<{ seconds: number }>(leaseLeft, [tenant, held!.id]);
  expect(left!.seconds).toBeGreaterThan(200);
  expect(left!.seconds).toBeLessThanOrEqual(300);
  expect(await settle(held!, ended('delivered'))).toBe(1);
  expect(await table.endOverlongWaits()).toBe(0);
});

test('a renewal that comes after the attempt was recorded, or the claim given back, holds nothing up', async () => {
  const { delivery, claim, short } = tenantOf();
  await table.insert([delivery('1', { customer: 'a' }), delivery('2', { customer: 'b' })]);
  const [one, two] = await claim();
  await settle(one!, ended('pending', 0));
  await table.release(two!, null);
  expect(await table.renew([one!, two!], 60_000)).toEqual(new Set());
  expect(short(await claim()).toSorted()).toEqual(['1', '2']);
});

test('one customer’s deliveries to one destination go out one by one, in order; other customers and destinations do not wait', async () => {
  const { delivery, claim, short } = tenantOf();
  await table.insert([delivery('1'), delivery('2'), delivery('other-customer', { customer: 'x' })]);
  await table.insert([delivery('3'), delivery('other-destination', { destination: 'e' })]);
  const claimed = await claim();
  expect(short(claimed).toSorted()).toEqual(['1', 'other-customer', 'other-destination']);
  await settle(
    claimed.find(({ id }) => id.endsWith('-1'))!,
    ended('delivered'),
  );
  const [second] = await claim();
  expect(short([second!])).toEqual(['2']);
  await settle(second!, ended('parked'));
  expect(short(await claim())).toEqual(['3']);
});

describe('best effort', () => {
  test('one that waits for its retry steps aside, and goes at its own time', async () => {
    const { delivery, claim, short } = tenantOf();
    await table.insert([delivery('1'), delivery('2'), delivery('3')]);
    const [first] = await claim();
    await settle(first!, ended('pending', 0));
    const both = await claim();
    expect(short(both).toSorted()).toEqual(['1', '2']);
    expect(both.find(({ aside }) => aside)).toMatchObject({ id: first!.id, retries: 1 });
  });

  test('of those aside one is attempted at a time, the earliest first, so a customer takes two places at most', async () => {
    const { delivery, claim, short } = tenantOf();
    await table.insert(['1', '2', '3', '4'].map((id) => delivery(id)));
    for (const delayMs of [0, 60_000, 0]) {
      const head = (await claim()).find(({ aside }) => !aside);
      await settle(head!, ended('pending', delayMs));
      await releaseAll();
    }
    const claimed = await claim();
    expect(short(claimed).toSorted()).toEqual(['1', '4']);
    await settle(
      claimed.find(({ aside }) => aside)!,
      ended('pending', 30_000),
    );
    expect(short(await claim())).toEqual(['3']);
  });
});

describe('strict', () => {
  const strict = { strict: true };

  test('those behind wait while the first is in its retries', async () => {
    const { delivery, claim, short } = tenantOf();
    await table.insert([delivery('1', strict), delivery('2', strict)]);
    const [first] = await claim();
    await settle(first!, ended('pending', 0));
    const [again] = await claim();
    expect(short([again!])).toEqual(['1']);
    await settle(again!, ended('delivered'));
    expect(short(await claim())).toEqual(['2']);
  });

  test.each(['redelivered', 'skipped'])('those behind a parked one wait until it is %s', async (how) => {
    const { tenant, delivery, claim, short } = tenantOf();
    await table.insert([delivery('1', strict), delivery('2', strict)]);
    const [first] = await claim();
    await settle(first!, ended('parked'));
    await table.insert([delivery('3', strict)]);
    expect(await claim()).toEqual([]);
    if (how === 'skipped') expect(await table.skip(tenant, first!.id, 'cmd_1')).toBe('applied');
    else {
      expect(await table.restart(tenant, first!.id, 'cmd_1', false)).toBe('applied');
      const [again] = await claim();
      expect(short([again!])).toEqual(['1']);
      await settle(again!, ended('delivered'));
    }
    const [second] = await claim();
    expect(short([second!])).toEqual(['2']);
    await settle(second!, ended('delivered'));
    expect(short(await claim())).toEqual(['3']);
  });

  test('a redeliver of one behind a parked one waits for its turn, and one of a delivered one holds nobody up', async () => {
    const { tenant, delivery, claim, short } = tenantOf();
    await table.insert([delivery('1', strict), delivery('2', strict), delivery('3', strict)]);
    const [first] = await claim();
    await settle(first!, ended('delivered'));
    const [second] = await claim();
    await settle(second!, ended('parked'));
    await table.restart(tenant, `${tenant}-3`, 'cmd_1', false);
    expect(await claim()).toEqual([]);
    await table.restart(tenant, first!.id, 'cmd_2', false);
    const [again] = await claim();
    expect(short([again!])).toEqual(['1']);
    await settle(again!, ended('parked'));
    await table.restart(tenant, second!.id, 'cmd_3', false);
    expect(short(await claim())).toEqual(['2']);
  });
});

test('what was not parked any more is not given up', async () => {
  const { tenant, delivery, claim } = tenantOf();
  await table.insert([delivery('1')]);
  const [claimed] = await claim();
  await settle(claimed!, ended('delivered'));
  expect(await table.skip(tenant, claimed!.id, 'cmd_1')).toBe('applied');
  expect(await stateOf(claimed!)).toBe('delivered');
});

test('one that was planned before takes no place in the queue of one that comes with it', async () => {
  const { delivery, claim, short } = tenantOf();
  await table.insert([delivery('1')]);
  const [first] = await claim();
  await settle(first!, ended('delivered'));
  await table.insert([delivery('1'), delivery('2')]);
  expect(short(await claim())).toEqual(['2']);
});

test('many attempts are recorded at once, each for the holder of its claim only', async () => {
  const { delivery, claim } = tenantOf();
  await table.insert(['a', 'b', 'c'].map((customer) => delivery(customer, { customer })));
  const [a, b, c] = await claim();
  const stale = { ...b!, fence: b!.fence - 1 };
  const attempt = ended('delivered');
  expect(
    await table.settle([
      { delivery: c!, attempt },
      { delivery: stale, attempt },
      { delivery: a!, attempt },
    ]),
  ).toEqual([1, undefined, 1].map((number) => ({ number, state: number && 'delivered', gaveTurn: false })));
});

test('whoever settles an attempt is told when the next of the queue, or of those aside, got its turn by it', async () => {
  const { delivery, claim } = tenantOf();
  await table.insert(['a', 'b', 'c'].map((id) => delivery(id)));
  const settled = async (one: ClaimedDelivery, attempt: AttemptResult) => (await table.settle([{ delivery: one, attempt }]))[0];
  const [a] = await claim();
  expect(await settled(a!, ended('pending', 60_000))).toEqual({ number: 1, state: 'pending', gaveTurn: true });
  const [b] = await claim();
  expect(await settled(b!, ended('delivered'))).toEqual({ number: 1, state: 'delivered', gaveTurn: true });
  const [c] = await claim();
  expect(await settled(c!, ended('delivered'))).toEqual({ number: 1, state: 'delivered', gaveTurn: false });
  expect(await claim()).toEqual([]);
});

test('a delivery that joins the queue at the very moment the one ahead leaves it has its turn all the same', async () => {
  const { delivery, claim, short } = tenantOf();
  await table.insert([delivery('0')]);
  let [ahead] = await claim();
  for (let round = 1; round <= 200; round += 1) {
    await Promise.all([settle(ahead!, ended('delivered')), table.insert([delivery(String(round))])]);
    const claimed = await claim();
    expect(short(claimed)).toEqual([String(round)]);
    [ahead] = claimed;
  }
});

test('all processes together claim no more for a destination than its concurrency', async () => {
  const { delivery, claim, short } = tenantOf();
  await table.insert(Array.from({ length: 5 }, (_, at) => delivery(`${at}`, { customer: `c${at}` })));
  expect(short(await claim({ free: 2, concurrency: 3 })).toSorted()).toEqual(['0', '1']);
  const [third, ...none] = await claim({ free: 2, concurrency: 3 });
  expect(none).toEqual([]);
  await settle(third!, ended('delivered'));
  expect(short(await claim({ free: 2, concurrency: 3 }))).toEqual(['3']);
});

test('of two redelivers that the log gives again, none starts the delivery once more', async () => {
  const { tenant, delivery, claim } = tenantOf();
  await table.insert([delivery('1')]);
  const [claimed] = await claim();
  await settle(claimed!, ended('parked'));
  for (const command of ['cmd_a', 'cmd_b']) {
    await table.restart(tenant, claimed!.id, command, false);
    const [again] = await claim();
    await settle(again!, ended('delivered'));
  }
  for (const command of ['cmd_a', 'cmd_b']) expect(await table.restart(tenant, claimed!.id, command, false)).toBe('applied');
  expect(await claim()).toEqual([]);
});

test('a retry is due when its time has come, and its budget shrinks', async () => {
  const { delivery, claim } = tenantOf();
  await table.insert([delivery('1')]);
  const [claimed] = await claim();
  expect(await settle(claimed!, ended('pending', 60_000))).toBe(1);
  expect(await claim()).toEqual([]);
});

test('a redeliver makes a parked delivery due at once with a fresh budget, once per command, and not while an attempt is under way', async () => {
  const { tenant, delivery, claim } = tenantOf();
  await table.insert([delivery('1')]);
  const [claimed] = await claim();
  expect(await table.restart(tenant, claimed!.id, 'cmd_1', false)).toBe('busy');
  await settle(claimed!, ended('parked'));
  expect(await table.restart(tenant, claimed!.id, 'cmd_1', false)).toBe('applied');
  const [again] = await claim();
  expect(again).toMatchObject({ id: claimed!.id, attempts: 1, retries: 0, redelivered: true });
  await settle(again!, ended('delivered'));
  expect(await table.restart(tenant, claimed!.id, 'cmd_1', false)).toBe('applied');
  expect(await claim()).toEqual([]);
  expect(await table.restart(tenant, 'dlv_none', 'cmd_1', false)).toBe('unknown');
});

test('an attempt stands among the unannounced until it is marked', async () => {
  const { tenant, delivery, claim } = tenantOf();
  await table.insert([delivery('1')]);
  const [claimed] = await claim();
  await settle(claimed!, ended('parked'));
  const mine = async () => (await table.unannounced(0, 1_000)).filter((one) => one.tenant === tenant);
  const [forgotten] = await mine();
  expect(forgotten).toMatchObject({ deliveryId: claimed!.id, number: 1, state: 'parked', code: 'delivery.unavailable', message: 'down' });
  expect((await table.unannounced(60_000, 1_000)).filter((one) => one.tenant === tenant)).toEqual([]);
  await table.markAnnounced([forgotten!]);
  expect(await mine()).toEqual([]);
});
