import { afterAll, beforeAll, expect, test } from 'vitest';
import { Database } from '#libs/persistence';
import { freshDatabase, uniqueName } from '#libs/testing';
import type { FreshDatabase } from '#libs/testing';
import { DeliveryTable } from './delivery.table.js';
import type { AttemptRow, ClaimedDelivery, NewDelivery } from './delivery.table.js';

let fresh: FreshDatabase;
let database: Database;
let table: DeliveryTable;

beforeAll(async () => {
  fresh = await freshDatabase();
  database = await Database.connect({ url: fresh.url, role: 'millrace_service', applicationName: 'test' });
  table = new DeliveryTable(database);
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
    retries: 3,
    traceparent: undefined,
    eventReceivedAt: '2026-11-21T10:00:00.000Z',
    ...more,
  });
  const others = { tenant: 'other', destination: 'other', free: 0 };
  const claim = async (options: { limit?: number; perDestination?: number; full?: string[] } = {}) => {
    const { limit = 10, perDestination = 10, full = [] } = options;
    const rooms = [others, ...full.map((destination) => ({ tenant, destination, free: 0 }))];
    const claimed = await table.claim(limit, perDestination, rooms, 5_000);
    return claimed.filter((one) => one.tenant === tenant);
  };
  const short = (claimed: readonly ClaimedDelivery[]): string[] => claimed.map(({ id }) => id.slice(tenant.length + 1));
  return { tenant, delivery, claim, short };
}

const ended = (state: AttemptRow['state'], retryInMs: number | null = null): AttemptRow => ({
  startedAt: new Date(),
  finishedAt: new Date(),
  status: 200,
  excerpt: 'ok\u0000',
  error: state === 'delivered' ? null : { code: 'delivery.unavailable', message: 'down' },
  state,
  retryInMs,
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

test('a claimed delivery is nobody else’s until its claim runs out or is given back', async () => {
  const { delivery, claim } = tenantOf();
  await table.insert([delivery('1')]);
  const [first] = await claim();
  expect(await claim()).toEqual([]);
  await table.release(first!);
  const [second] = await claim();
  expect(second!.fence).toBe(first!.fence + 1);
  expect(await table.settle(first!, ended('delivered'))).toBeUndefined();
  expect(await table.renew([first!, second!], 5_000)).toEqual(new Set([second!.id]));
  expect(await table.settle(second!, ended('delivered'))).toBe(1);
});

test('a renewal that comes after the attempt was recorded, or the claim given back, holds nothing up', async () => {
  const { delivery, claim, short } = tenantOf();
  await table.insert([delivery('1', { customer: 'a' }), delivery('2', { customer: 'b' })]);
  const [one, two] = await claim();
  await table.settle(one!, ended('pending', 0));
  await table.release(two!);
  expect(await table.renew([one!, two!], 60_000)).toEqual(new Set());
  expect(short(await claim()).toSorted()).toEqual(['1', '2']);
});

test('one customer’s deliveries to one destination go out one by one, in order; other customers and destinations do not wait', async () => {
  const { delivery, claim, short } = tenantOf();
  await table.insert([delivery('1'), delivery('2'), delivery('other-customer', { customer: 'x' })]);
  await table.insert([delivery('3'), delivery('other-destination', { destination: 'e' })]);
  const claimed = await claim();
  expect(short(claimed).toSorted()).toEqual(['1', 'other-customer', 'other-destination']);
  const first = claimed.find(({ id }) => id.endsWith('-1'))!;

  await table.settle(first, ended('pending', 0));
  expect(short(await claim())).toEqual(['1']); // its retry, and still not the second
  await table.settle({ ...first, fence: first.fence + 1 }, ended('parked'));
  const [second] = await claim();
  expect(short([second!])).toEqual(['2']);
  await table.settle(second!, ended('delivered'));
  expect(short(await claim())).toEqual(['3']);
});

test('a delivery that joins the queue at the very moment the one ahead leaves it has its turn all the same', async () => {
  const { delivery, claim, short } = tenantOf();
  await table.insert([delivery('0')]);
  let [ahead] = await claim();
  for (let round = 1; round <= 200; round += 1) {
    await Promise.all([table.settle(ahead!, ended('delivered')), table.insert([delivery(String(round))])]);
    const claimed = await claim();
    expect(short(claimed)).toEqual([String(round)]);
    [ahead] = claimed;
  }
});

test('a destination gets no more than it has room for, however much is due for it', async () => {
  const { delivery, claim, short } = tenantOf();
  const busy = Array.from({ length: 5 }, (_, at) => delivery(`busy-${at}`, { customer: `c${at}`, destination: 'busy' }));
  await table.insert([...busy, delivery('calm', { destination: 'calm' })]);
  const first = await claim({ perDestination: 2 });
  expect(short(first).toSorted()).toEqual(['busy-0', 'busy-1', 'calm']);
  expect(await claim({ perDestination: 2, full: ['busy'] })).toEqual([]);
});

test('a retry is due when its time has come, and its budget shrinks', async () => {
  const { delivery, claim } = tenantOf();
  await table.insert([delivery('1')]);
  const [claimed] = await claim();
  expect(await table.settle(claimed!, ended('pending', 60_000))).toBe(1);
  expect(await claim()).toEqual([]);
});

test('a redeliver makes a parked delivery due at once with a fresh budget, once per command, and not while an attempt is under way', async () => {
  const { tenant, delivery, claim } = tenantOf();
  await table.insert([delivery('1')]);
  const [claimed] = await claim();
  expect(await table.restart(tenant, claimed!.id, 'cmd_1', () => 7)).toBe('busy');
  await table.settle(claimed!, ended('parked'));
  expect(await table.restart(tenant, claimed!.id, 'cmd_1', () => 7)).toBe('restarted');
  const [again] = await claim();
  expect(again).toMatchObject({ id: claimed!.id, attempts: 1, retriesLeft: 7, redelivered: true });
  await table.settle(again!, ended('delivered'));
  expect(await table.restart(tenant, claimed!.id, 'cmd_1', () => 7)).toBe('restarted');
  expect(await claim()).toEqual([]);
  expect(await table.restart(tenant, 'dlv_none', 'cmd_1', () => 7)).toBe('unknown');
});

test('an attempt stands among the unannounced until it is marked', async () => {
  const { tenant, delivery, claim } = tenantOf();
  await table.insert([delivery('1')]);
  const [claimed] = await claim();
  await table.settle(claimed!, ended('parked'));
  const mine = async () => (await table.unannounced(0, 1_000)).filter((one) => one.tenant === tenant);
  const [forgotten] = await mine();
  expect(forgotten).toMatchObject({ deliveryId: claimed!.id, number: 1, state: 'parked', code: 'delivery.unavailable', message: 'down' });
  expect((await table.unannounced(60_000, 1_000)).filter((one) => one.tenant === tenant)).toEqual([]);
  await table.markAnnounced([forgotten!]);
  expect(await mine()).toEqual([]);
});
