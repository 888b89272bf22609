import { hash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { uniqueName } from '#libs/testing';
import { QueryServer } from '../../../../../test/query/query-server.js';

let server: QueryServer;
const tenant = uniqueName('tenant');
const hostile = `<script>alert("1")</script>'&`;
beforeAll(async () => {
  server = await QueryServer.start();
  await server.rows.event({ tenant, id: 'evt_1', customer: hostile, type: 'invoice.paid' });
  await server.rows.run({ tenant, id: 'run_1', event: 'evt_1' });
  await server.rows.delivery({ tenant, id: 'dlv_1', event: 'evt_1', run: 'run_1', state: 'parked' });
  await server.rows.deadLetter({ tenant, id: 'dlq_1', event: 'evt_1', run: 'run_1', delivery: 'dlv_1' });
});
afterAll(() => server.stop());

const submit = (fields: Record<string, string>) => fetch(`${server.url}/`, { method: 'POST', body: new URLSearchParams(fields) });

/** The page allows no script, and its style by the digest of what it is. */
function expectLocked({ headers }: Response, page: string): void {
  expect(headers.get('content-type')).toBe('text/html; charset=utf-8');
  expect(headers.get('cache-control')).toBe('no-store');
  const [, style] = /<style>(.*?)<\/style>/s.exec(page)!;
  expect(headers.get('content-security-policy')).toBe(
    `default-src 'none'; style-src 'sha256-${hash('sha256', style!, 'base64')}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'`,
  );
  expect(page).not.toContain('<script');
  expect(page).not.toMatch(/https?:|style="|\son\w+="/);
}

test('without a key the page says what this is, where the doors are and whether it is ready, and nothing of a tenant', async () => {
  const response = await fetch(`${server.url}/`);
  const page = await response.text();
  expect(response.status).toBe(200);
  expectLocked(response, page);
  expect(page).toContain('This process is ready.');
  for (const address of ['/graphql', '/healthz', '/readyz', '/metrics']) expect(page).toContain(`href="${address}"`);
  expect(page).not.toMatch(/evt_|dlq_|tenant-/);
});

describe('with a key', () => {
  test('the page has the last events and the open dead letters of its tenant, with every text escaped', async () => {
    const key = await server.key(tenant, 'read');
    const byHeader = await fetch(`${server.url}/`, { headers: { authorization: `Bearer ${key}` } });
    for (const response of [await submit({ key }), byHeader]) {
      const page = await response.text();
      expect(response.status).toBe(200);
      expectLocked(response, page);
      for (const text of [tenant, 'invoice.paid from stripe', 'parked', 'evt_1', 'dlq_1', 'delivery.refused']) expect(page).toContain(text);
      expect(page).toContain('&#60;script&#62;alert(&#34;1&#34;)&#60;/script&#62;&#39;&#38;');
      expect(page).not.toContain(key);
    }
  });

  test('the operator names the tenant', async () => {
    const page = await (await submit({ key: server.operatorKey, tenant })).text();
    expect(page).toContain('evt_1');
    const other = await (await submit({ key: server.operatorKey, tenant: uniqueName('tenant') })).text();
    expect(other).toContain('No event yet.');
  });

  test.each([
    ['', 401],
    ['mr_test_nope', 401],
    [hostile, 401],
  ])('%j, which is none, the page says why it shows nothing', async (key, status) => {
    const response = await submit({ key });
    const page = await response.text();
    expect(response.status).toBe(status);
    expectLocked(response, page);
    expect(page).toContain('role="alert"');
    expect(page).not.toContain('evt_1');
  });

  test('that lacks READ, it shows nothing either', async () => {
    const response = await submit({ key: await server.key(tenant, 'ingest') });
    expect([response.status, await response.text()]).toEqual([403, expect.not.stringContaining('evt_1')]);
  });
});
