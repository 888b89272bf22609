import { afterAll, beforeAll, expect, test } from 'vitest';
import { TenantDatabase } from '#libs/persistence';
import { freshDatabase } from '#libs/testing';
import type { FreshDatabase } from '#libs/testing';
import { Rows } from '../../../../test/query/rows.js';
import { CustomerTable } from '../customers/customer.table.js';
import { EventTable } from '../events/event.table.js';
import { CursorSigner } from './cursor.js';
import { Paging } from './paging.js';
import type { PageArguments } from './paging.js';

let fresh: FreshDatabase;
let database: TenantDatabase;
let rows: Rows;
let events: EventTable;
let customers: CustomerTable;
const start = Date.parse('2026-11-01T00:00:00Z');

beforeAll(async () => {
  fresh = await freshDatabase();
  database = await TenantDatabase.connect({ url: fresh.queryUrl, role: 'millrace_query', applicationName: 'test' });
  rows = await Rows.at(fresh.url);
  const paging = new Paging(database, new CursorSigner(Buffer.from('secret')));
  events = new EventTable(database, paging);
  customers = new CustomerTable(database, paging);
  // Every third event shares its moment with the one before: the id must tell them apart.
  for (let n = 0; n < 25; n += 1) {
    const receivedAt = new Date(start + (n - (n % 3 === 1 ? 1 : 0)) * 1_000);
    await rows.event({ tenant: 'acme', id: id(n), customer: `cus-${n % 4}`, source: n % 2 === 0 ? 'stripe' : 'github', receivedAt });
  }
  await rows.event({ tenant: 'beta', id: 'evt_beta', customer: 'cus-beta' });
});

afterAll(async () => {
  await rows.close();
  await database.close();
  await fresh.close();
});

const id = (n: number): string => `evt_${String(n).padStart(3, '0')}`;

async function walk(
  size: number,
  direction: 'forward' | 'backward',
  between: (page: number) => Promise<void> = async () => undefined,
): Promise<string[]> {
  const seen: string[] = [];
  let page: PageArguments = direction === 'forward' ? { first: size } : { last: size };
  for (let at = 0; ; at += 1) {
    const { nodes, pageInfo } = await events.page('acme', {}, page);
    const ids = nodes.map((node) => node.id);
    seen.push(...(direction === 'forward' ? ids : ids.toReversed()));
    if (!(direction === 'forward' ? pageInfo.hasNextPage : pageInfo.hasPreviousPage)) return seen;
    page = direction === 'forward' ? { first: size, after: pageInfo.endCursor } : { last: size, before: pageInfo.startCursor };
    await between(at);
  }
}

test('walking forward gives each row once, the last received first', async () => {
  const seen = await walk(4, 'forward');
  expect(new Set(seen).size).toBe(25);
  expect(seen).toHaveLength(25);
  expect(seen[0]).toBe(id(24));
  expect(await walk(25, 'forward')).toEqual(seen);
});

test('walking backward gives the same rows in the opposite order', async () => {
  expect(await walk(4, 'backward')).toEqual((await walk(4, 'forward')).toReversed());
});

test('rows that come in meanwhile neither repeat nor hide the others', async () => {
  const before = await walk(25, 'forward');
  const seen = await walk(3, 'forward', async (page) => rows.event({ tenant: 'acme', id: `evt_late${page}`, receivedAt: new Date() }));
  expect(seen).toEqual(before);
});

test('a filter holds for pages and for the count', async () => {
  const page = await events.page('acme', { sources: ['github'], receivedBefore: new Date(start + 10_000) }, { first: 2 });
  expect(page.nodes.map((node) => node.source)).toEqual(['github', 'github']);
  expect(await page.count()).toEqual({ value: 5, exact: true });
});

test('a type filter with a star is a prefix, without one the whole type', async () => {
  await rows.event({ tenant: 'types', id: 'evt_a', type: 'invoice.paid' });
  await rows.event({ tenant: 'types', id: 'evt_b', type: 'invoice.paid.late' });
  await rows.event({ tenant: 'types', id: 'evt_c', type: 'invoicing.on' });
  const found = async (type: string): Promise<string[]> =>
    (await events.page('types', { type }, {})).nodes.map((node) => node.id).toSorted();
  expect(await found('invoice.*')).toEqual(['evt_a', 'evt_b']);
  expect(await found('invoice.paid')).toEqual(['evt_a']);
  expect(await found('*')).toEqual(['evt_a', 'evt_b', 'evt_c']);
  await expect(async () => events.page('types', { type: 'in*oice' }, {})).rejects.toThrow('filter.type may have a * at its end only');
});

test('a cursor of another filter, tenant or list, or one that was made up, is refused by the name of its argument', async () => {
  const { pageInfo } = await events.page('acme', { sources: ['stripe'] }, { first: 2 });
  const after = pageInfo.endCursor!;
  const refusal = 'after is not a cursor of this list with this filter';
  await expect(events.page('acme', {}, { after })).rejects.toThrow(refusal);
  await expect(events.page('acme', { sources: ['github'] }, { after })).rejects.toThrow(refusal);
  await expect(events.page('beta', { sources: ['stripe'] }, { after })).rejects.toThrow(refusal);
  await expect(customers.page('acme', 'key', {}, { after })).rejects.toThrow(refusal);
  const forged = Buffer.from(JSON.stringify(['2026-01-01', 'evt_0'])).toString('base64url');
  for (const cursor of ['', '.', forged, `${forged}.${after.split('.')[1]}`, `${after}x`, `${after}.x`, after.slice(1)]) {
    await expect(events.page('acme', { sources: ['stripe'] }, { after: cursor })).rejects.toThrow(refusal);
  }
});

test('sizes and ends that do not fit together are refused by name', async () => {
  await expect(events.page('acme', {}, { first: 0 })).rejects.toThrow('first must be from 1 to 100');
  await expect(events.page('acme', {}, { last: 101 })).rejects.toThrow('last must be from 1 to 100');
  await expect(events.page('acme', {}, { first: 1, last: 1 })).rejects.toThrow('give one of them');
  await expect(events.page('acme', {}, { first: 1, before: 'x' })).rejects.toThrow('before goes with last, not with first');
});

test('customers by key stand in one order however their events come', async () => {
  const page = await customers.page('acme', 'key', { keyPrefix: 'cus-' }, { first: 3 });
  expect(page.nodes.map((node) => node.key)).toEqual(['cus-0', 'cus-1', 'cus-2']);
  await rows.event({ tenant: 'acme', id: 'evt_moves', customer: 'cus-3' });
  const rest = await customers.page('acme', 'key', { keyPrefix: 'cus-' }, { first: 3, after: page.pageInfo.endCursor });
  expect(rest.nodes.map((node) => node.key)).toEqual(['cus-3']);
  expect((await customers.page('acme', 'lastEvent', {}, { first: 1 })).nodes[0]?.key).toBe('cus-3');
});

test('counting stops at ten thousand and says so', async () => {
  await rows.event({ tenant: 'large', id: 'evt_first' });
  await rows.manyEvents('large', 10_000);
  const page = await events.page('large', {}, { first: 1 });
  expect(await page.count()).toEqual({ value: 10_000, exact: false });
});
