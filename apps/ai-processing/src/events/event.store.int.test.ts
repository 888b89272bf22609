import { afterAll, beforeAll, expect, test } from 'vitest';
import type { EventReceived } from '#libs/contracts';
import { Database, statement } from '#libs/persistence';
import { freshDatabase, uniqueName } from '#libs/testing';
import type { FreshDatabase } from '#libs/testing';
import { EventStore } from './event.store.js';
import type { LoggedEvent } from './event.store.js';

let fresh: FreshDatabase;
let database: Database;
let events: EventStore;

beforeAll(async () => {
  fresh = await freshDatabase();
  database = await Database.connect({ url: fresh.url, role: 'millrace_service', applicationName: 'test' });
  events = new EventStore(database);
});
afterAll(async () => {
  await database.close();
  await fresh.close();
});

const logged = (tenant: string, id: string, offset: string, more: Partial<EventReceived> = {}): LoggedEvent => ({
  event: {
    eventId: `evt_${id}`,
    tenant,
    source: 'shop',
    customer: 'c-1',
    lane: 'normal',
    type: 'order.paid',
    providerEventId: id,
    occurredAt: '2026-11-21T11:00:00+01:00',
    receivedAt: '2026-11-21T10:00:01.000Z',
    contentType: 'application/json',
    body: '{"amount":7}',
    ...more,
  },
  traceId: null,
  position: { topic: 'millrace.events.normal', partition: 3, offset },
});

test('of a hundred records of one event one stands for it, and it still does when that very record comes again', async () => {
  const tenant = uniqueName('t');
  const repeats = Array.from({ length: 100 }, (_, at) => logged(tenant, 'a', String(at)));
  expect((await events.record(repeats)).filter(Boolean)).toHaveLength(1);
  expect(await events.record([repeats[0]!])).toEqual([true]);
  expect(await events.record([repeats[1]!])).toEqual([false]);
});

test('an event is read back as it was received, whatever its bytes', async () => {
  const tenant = uniqueName('t');
  const bytes = Buffer.from([0xff, 0x00, 0xfe]).toString('base64');
  const { body: _, ...binary } = logged(tenant, 'b', '1', { contentType: 'application/octet-stream', bodyBase64: bytes }).event;
  await events.record([logged(tenant, 'a', '0'), { ...logged(tenant, 'b', '1'), event: binary }]);
  expect(await events.find(tenant, 'evt_a')).toEqual({ ...logged(tenant, 'a', '0').event, occurredAt: '2026-11-21T10:00:00.000Z' });
  expect(await events.find(tenant, 'evt_b')).toMatchObject({ bodyBase64: bytes });
  expect(await events.find('another', 'evt_a')).toBeUndefined();
});

test('a NUL in a partner’s text keeps neither the event nor its batch out', async () => {
  const tenant = uniqueName('t');
  const odd = logged(tenant, 'odd', '0', { type: 'order\u0000paid', providerEventId: '\u0000', contentType: 'text/\u0000' });
  expect(await events.record([odd, logged(tenant, 'b', '1')])).toEqual([true, true]);
  expect((await events.find(tenant, 'evt_odd'))?.type).toBe('order\ufffdpaid');
});

test('a customer spans its events, first to last, however they are batched and repeated', async () => {
  const tenant = uniqueName('t');
  const at = (second: number): Partial<EventReceived> => ({ receivedAt: `2026-11-21T10:00:0${second}.000Z` });
  await events.record([logged(tenant, 'b', '1', at(5)), logged(tenant, 'c', '2', at(3))]);
  await events.record([logged(tenant, 'a', '3', at(1)), logged(tenant, 'b', '4', at(9))]);
  const spans = statement('test.customer-span', 'SELECT customer, first_event_at, last_event_at FROM customer WHERE tenant_id = $1');
  expect(await database.query(spans, [tenant])).toEqual([
    { customer: 'c-1', first_event_at: new Date('2026-11-21T10:00:01Z'), last_event_at: new Date('2026-11-21T10:00:05Z') },
  ]);
});

test('batches with the same events and customers in opposite orders do not block each other', async () => {
  const tenant = uniqueName('t');
  const batch = (round: number): LoggedEvent[] =>
    Array.from({ length: 50 }, (_, at) => logged(tenant, `${round}-${at}`, String(at), { customer: `c-${at % 7}` }));
  for (let round = 0; round < 10; round += 1) {
    const results = await Promise.all([batch(round), batch(round).toReversed(), batch(round)].map((records) => events.record(records)));
    expect(results[0]).toHaveLength(50);
  }
});
