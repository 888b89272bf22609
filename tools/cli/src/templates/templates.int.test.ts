import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { standaloneSettings, startStandalone } from '#apps/standalone';
import type { Standalone } from '#apps/standalone';
import { readSettings } from '#libs/config';
import { freePort } from '#libs/ports';
import { runInTest } from '../run-in-test.js';
import { templateNamed, templateNames } from './template.js';

let directory: string;
let standalone: Standalone;

/** The one-process form as a newcomer has it: embedded Postgres and log, the local model, the sample systems. */
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'millrace-templates-'));
  const environment = { MILLRACE_DIRECTORY: join(directory, '.millrace'), PORT: String(await freePort()), LOG_LEVEL: 'error' };
  standalone = await startStandalone(readSettings('standalone', standaloneSettings, environment), environment);
});
afterAll(async () => {
  await standalone.stop();
  rmSync(directory, { recursive: true });
});

const millrace = (...args: string[]) => runInTest(args, { directory });
const run = (template: string) => millrace('--json', 'templates', 'run', template);

test.each(templateNames())('%s decides on its samples and acts as its page says', async (name) => {
  const { code, out, notes } = await run(name);
  expect({ code, notes }).toMatchObject({ code: 0, notes: expect.stringContaining(templateNamed(name).title) });
  const rows = out.split('\n').map((line) => JSON.parse(line) as { sample: string; decision: unknown; effects: string[] });
  expect(rows.map(({ sample }) => sample)).toEqual(templateNamed(name).samples.map(({ what }) => what));
  for (const { decision } of rows) expect(decision).not.toBeNull();
});

test('a second run sends other events and changes no document', async () => {
  const { code, notes } = await run('inventory-alert');
  expect({ code, notes }).toMatchObject({ code: 0, notes: expect.stringContaining('Nothing to change.') });
});

test('prints for a person: each sample with its decision and its effects, and what to look at next', async () => {
  const { out, notes } = await millrace('templates', 'run', 'inventory-alert');
  expect(out).toMatch(/^sample +decision +effect\n─+/);
  expect(out).toMatch(/^the reorder point is +sku KB-7, alert low, level 19, daysLeft 6, +backoffice \/proposals\/KB-7 =/m);
  expect(notes).toContain(`What the sample systems have: http://127.0.0.1:${standalone.credentials.systems!.port}/`);
});

test('a copy is the user’s own: it is applied as it is, and what is not as its template says is printed', async () => {
  expect((await millrace('init', 'inventory-alert', 'mine')).code).toBe(0);
  expect((await run('./mine')).code).toBe(0);
  const flow = join(directory, 'mine', 'documents', 'flow.yaml');
  writeFileSync(flow, readFileSync(flow, 'utf8').replace('soldPerDay * 30', 'soldPerDay * 10'));
  const changed = await run('./mine');
  expect(changed.code).toBe(1);
  expect(changed.notes).toContain('✗ the reorder point is crossed: decision.order is 11, and the template says 71');
  expect(changed.notes).toContain(
    'the template does not say this effect: backoffice /proposals/KB-7 = {"quantity":11,"supplier":"Northwind"}',
  );
  const refused = await run('inventory-alert');
  expect([refused.code, refused.notes]).toEqual([
    1,
    expect.stringContaining('The tenant has the Flow inventory-alert already, and not as the template has it'),
  ]);
  expect((await run('./mine')).notes).toContain('Nothing to change.');
  writeFileSync(flow, readFileSync(flow, 'utf8').replace('kind: Flow', 'kind: Flo'));
  const broken = await run('./mine');
  expect(broken.notes).toMatch(/(^|\n)mine\/documents\/flow\.yaml:\d+:\d+ /);
  expect(broken.notes).not.toContain('millrace-template-');
});

test('needs the one-process form, and says so', async () => {
  const { url, apiKey } = standalone.credentials;
  const elsewhere = { directory: tmpdir(), environment: { MILLRACE_URL: url, MILLRACE_API_KEY: apiKey } };
  const { code, notes } = await runInTest(['templates', 'run', 'ticket-triage'], elsewhere);
  expect([code, notes]).toEqual([2, expect.stringContaining('Start it with npm start')]);
});
