import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { uniqueName } from '#libs/testing';
import { QueryServer } from '../../../test/query/query-server.js';
import { runInTest } from './run-in-test.js';

const tenant = uniqueName('tenant');
let query: QueryServer;
let directory: string;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'millrace-cli-'));
  query = await QueryServer.start({ secretsFolder: directory });
  await millrace('tenants', 'create', tenant);
});
afterAll(async () => {
  await query.stop();
  rmSync(directory, { recursive: true });
});

const millrace = (...args: string[]): ReturnType<typeof runInTest> =>
  runInTest(args, { directory, environment: { MILLRACE_URL: query.url, MILLRACE_API_KEY: query.operatorKey, MILLRACE_TENANT: tenant } });

function store(secret: string): void {
  mkdirSync(join(directory, tenant, 'github'), { recursive: true });
  writeFileSync(join(directory, tenant, 'github', 'signing'), secret);
}

test('secrets of the store are listed, followed, and told when they are gone', async () => {
  expect(await millrace('secrets')).toMatchObject({ code: 0, out: '', notes: 'No document names a secret of the secret store.' });
  store('the secret before that one');
  const spec = '{ scheme: github, secrets: [{ from: { path: github, key: signing } }] }';
  writeFileSync(
    join(directory, 'code.yaml'),
    `{ apiVersion: millrace/v1, kind: Source, metadata: { tenant: ${tenant}, name: code }, spec: ${spec} }`,
  );
  expect(await millrace('apply', '-f', join(directory, 'code.yaml'))).toMatchObject({ code: 0 });
  expect((await millrace('secrets')).out).toMatch(/^Source\/code {2}spec\.secrets\.0 {2}github signing {2}read 20\d\d-/);
  expect(await millrace('secrets', 'refresh')).toMatchObject({ code: 0, out: '', notes: 'Nothing changed: 1 secret is as it was.' });
  expect((await millrace('secrets')).out).toMatch(/^Source\/code {2}spec\.secrets\.0 {2}github signing {2}read 20\d\d-/);
  store('the secret after that one');
  expect(await millrace('secrets', 'refresh')).toMatchObject({ code: 0, out: 'Source/code  changed' });
  store('the secret after that one, too');
  expect(await millrace('secrets', 'refresh', 'source', 'code')).toMatchObject({ code: 0, out: 'Source/code  changed' });
  expect(await millrace('secrets', 'refresh', 'source', 'other')).toMatchObject({
    code: 1,
    notes: expect.stringContaining('No secret of Source/other comes from the secret store'),
  });
  expect(await millrace('secrets', 'refresh', 'source')).toMatchObject({
    code: 2,
    notes: expect.stringContaining('Name the document, too'),
  });
  store('abc');
  const weak = 'has fewer than 16 characters: whoever guesses it can send events';
  expect(await millrace('secrets', 'refresh')).toMatchObject({ code: 0, notes: `warning: Source/code spec.secrets.0: ${weak}` });
  expect((await millrace('secrets')).out).toMatch(new RegExp(`github signing {2}read \\S+ {2}warning: ${weak}$`));
  rmSync(join(directory, tenant, 'github', 'signing'));
  expect(await millrace('secrets', 'refresh')).toMatchObject({
    code: 1,
    out: expect.stringContaining('signing is not in github'),
    notes: expect.stringContaining('1 of 1 secret cannot be had or used; their documents go on with those before'),
  });
});
