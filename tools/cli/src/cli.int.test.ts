import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { EventRecorded, topics } from '#libs/contracts';
import { RecordProducer } from '#libs/messaging';
import { uniqueName, waitFor } from '#libs/testing';
import { QueryServer } from '../../../test/query/query-server.js';
import { run } from './cli.js';

let server: QueryServer;
let directory: string;
let tenant: string;

beforeAll(async () => {
  server = await QueryServer.start();
});
afterAll(() => server.stop());
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'millrace-cli-'));
  tenant = uniqueName('tenant');
});
afterEach(() => rmSync(directory, { recursive: true }));

/** Runs the command as its operator would, in the directory of the test. */
async function millrace(args: string[], more: { environment?: Record<string, string>; signal?: AbortSignal } = {}) {
  const printed: string[] = [];
  const noted: string[] = [];
  const code = await run(args, {
    environment: more.environment ?? { MILLRACE_URL: server.url, MILLRACE_API_KEY: server.operatorKey, MILLRACE_TENANT: tenant },
    directory,
    print: (text) => printed.push(text),
    note: (text) => noted.push(text),
    signal: more.signal ?? new AbortController().signal,
  });
  return { code, out: printed.join('\n'), notes: noted.join('\n') };
}

function file(name: string, text: string): string {
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
}

const documents = (url = 'https://crm.example/hook'): string => `apiVersion: millrace/v1
kind: Tenant
metadata: { name: ${tenant} }
spec: { displayName: Acme }
---
apiVersion: millrace/v1
kind: Destination
metadata: { tenant: ${tenant}, name: crm }
spec:
  kind: http
  url: ${url}
  secret: { value: whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw }
`;

describe('apply', () => {
  test('creates what is new, then finds nothing to change, then prints the difference and changes it', async () => {
    const path = file('all.yaml', documents());
    expect(await millrace(['apply', '-f', path])).toEqual({
      code: 0,
      out: `+ Tenant/${tenant} (version 1)\n+ Destination/crm (version 1)\n2 documents changed.`,
      notes: '',
    });
    expect((await millrace(['apply', '-f', path])).out).toContain('Nothing to change.');
    file('all.yaml', documents('https://new.example/hook'));
    expect((await millrace(['apply', '-f', path])).out).toBe(
      [
        `= Tenant/${tenant} (version 1)`,
        '~ Destination/crm (version 1 → 2)',
        '    ~ spec.url: "https://crm.example/hook" → "https://new.example/hook"',
        '1 document changed.',
      ].join('\n'),
    );
  });

  test('with --dry-run it prints the difference and changes nothing', async () => {
    const path = file('all.yaml', documents());
    expect((await millrace(['apply', '--dry-run', '-f', path])).out).toContain('2 documents would change.');
    expect((await millrace(['get', 'destinations'])).out).toBe('');
  });

  test('a mistake is refused by file, line, column and field', async () => {
    const path = file('all.yaml', documents('ftp://x').replace('kind: http', 'kind: http\n  timeuotMs: 5'));
    expect(await millrace(['apply', '-f', path])).toEqual({
      code: 1,
      out: '',
      notes: [
        `${path}:12:3 spec.url: must be an http or https address`,
        `${path}:11:3 spec.timeuotMs: is not a field that belongs here`,
      ].join('\n'),
    });
  });
});

test('get prints documents that can be applied again, as YAML and as JSON, without their secrets', async () => {
  await millrace(['apply', '-f', file('all.yaml', documents())]);
  const yaml = await millrace(['get', 'destination', 'crm']);
  expect(yaml.out).toContain('kind: Destination');
  expect(yaml.out).not.toContain('whsec_');
  const json = await millrace(['get', 'Destination', '-o', 'json']);
  for (const path of [file('again.yaml', yaml.out), file('again.json', json.out)]) {
    expect((await millrace(['apply', '-f', path])).out).toBe('= Destination/crm (version 1)\nNothing to change.');
  }
  expect(await millrace(['get', 'destination', 'other'])).toMatchObject({ code: 1, notes: 'There is no Destination named other' });
});

test('events get prints an event with what happened to it', async () => {
  await server.rows.event({ tenant, id: 'evt_cli', customer: 'cus-9' });
  const { code, out } = await millrace(['events', 'get', 'evt_cli']);
  expect([code, out.split('\n')[0]]).toEqual([0, 'evt_cli  invoice.paid  from stripe  about cus-9  RECORDED']);
  expect(out).toContain('Received from stripe');
  expect(await millrace(['events', 'get', 'evt_none'])).toMatchObject({ code: 1, notes: 'There is no event evt_none' });
});

test('events tail prints a line per change until it is stopped', async () => {
  await server.rows.event({ tenant, id: 'evt_tail', customer: 'cus-9' });
  const lines: string[] = [];
  const notes: string[] = [];
  const stop = new AbortController();
  const tail = run(['events', 'tail', '--customer', 'cus-9'], {
    environment: { MILLRACE_URL: server.url, MILLRACE_API_KEY: server.operatorKey, MILLRACE_TENANT: tenant },
    directory,
    print: (line) => lines.push(line),
    note: (line) => notes.push(line),
    signal: stop.signal,
  });
  await waitFor(() => notes.some((note) => note.startsWith('Listening at')), { what: 'the tail to listen' });
  const about = { tenant, customer: 'cus-9', eventId: 'evt_tail', at: '2026-11-21T09:00:00.000Z' };
  await waitFor(
    async () => {
      await server.part(RecordProducer).append(topics.outcomes, EventRecorded, { ...about, source: 'stripe', type: 'invoice.paid' });
      return lines.length > 0;
    },
    { what: 'a line' },
  );
  expect(lines[0]).toBe('2026-11-21T09:00:00.000Z  RECORDED   evt_tail  invoice.paid  stripe  cus-9');
  stop.abort();
  expect(await tail).toBe(0);
});

test('events tail says once that the connection is lost, and ends at once when it is stopped while it tries again', async () => {
  const stopping = await QueryServer.start();
  const notes: string[] = [];
  const stop = new AbortController();
  const tail = run(['events', 'tail'], {
    environment: { MILLRACE_URL: stopping.url, MILLRACE_API_KEY: stopping.operatorKey, MILLRACE_TENANT: tenant },
    directory,
    print: () => undefined,
    note: (line) => notes.push(line),
    signal: stop.signal,
  });
  await waitFor(() => notes.length > 0, { what: 'the tail to listen' });
  await stopping.stop();
  await waitFor(() => notes.length > 1, { what: 'the loss to be told' });
  stop.abort();
  expect(await tail).toBe(0);
  expect(notes[1]).toBe('The connection is lost; trying again.');
  expect(notes).toHaveLength(2);
});

describe('after an outage', () => {
  beforeEach(async () => {
    const { rows } = server;
    for (const n of [1, 2, 3]) {
      const createdAt = new Date(Date.parse('2026-11-20T10:00:00Z') + n * 3_600_000);
      await rows.event({ tenant, id: `evt_${n}`, customer: 'cus-9' });
      await rows.run({ tenant, id: `run_${n}`, event: `evt_${n}`, state: 'failed' });
      await rows.deadLetter({ tenant, id: `dlq_${n}`, kind: 'run', event: `evt_${n}`, run: `run_${n}`, createdAt });
      await rows.delivery({ tenant, id: `dlv_${n}`, event: `evt_${n}`, run: `run_${n}`, state: 'parked', createdAt });
      await rows.deadLetter({ tenant, id: `dlq_d${n}`, event: `evt_${n}`, run: `run_${n}`, delivery: `dlv_${n}`, createdAt });
    }
  });

  test('replay and redeliver with --dry-run print how many it would be', async () => {
    const between = ['--from', '2026-11-20T11:00:00Z', '--before', '2026-11-20T12:30:00Z', '--dry-run'];
    expect(await millrace(['replay', ...between])).toEqual({ code: 0, out: '2 events would be replayed.', notes: '' });
    expect(await millrace(['redeliver', ...between])).toEqual({ code: 0, out: '2 deliveries would be redelivered.', notes: '' });
    expect((await millrace(['replay', '--dry-run', '--events', '--type', 'invoice.*', '--state', 'parked', 'running'])).out).toMatch(
      /^3 events/,
    );
    expect((await millrace(['redeliver', '--dry-run', '--state', 'parked', '--destination', 'crm'])).out).toMatch(/^3 deliveries/);
    expect((await millrace(['redeliver', '--dry-run', '--code', 'delivery.gone'])).out).toMatch(/^0 deliveries/);
    expect((await millrace(['operations'])).out).toBe('');
  });

  test('with --wait the progress is shown until the operation is over', async () => {
    const printed: string[] = [];
    const noted: string[] = [];
    const waiting = run(['redeliver', '--wait', '--rate', '10'], {
      environment: { MILLRACE_URL: server.url, MILLRACE_API_KEY: server.operatorKey, MILLRACE_TENANT: tenant },
      directory,
      print: (line) => printed.push(line),
      note: (line) => noted.push(line),
      signal: new AbortController().signal,
    });
    await waitFor(() => noted.some((line) => line.includes('waits to be started')), { what: 'the wait for its start' });
    const id = printed[0]!;
    await server.rows.bulkOperation({ tenant, id, kind: 'redelivery', total: 3, done: 1 });
    await waitFor(() => noted.includes(`${id}  REDELIVERY  RUNNING  1 of 3`), { what: 'the progress' });
    await server.rows.bulkOperation({ tenant, id, kind: 'redelivery', total: 3, done: 3, state: 'completed' });
    expect(await waiting).toBe(0);
    expect(printed[1]).toBe(`${id}  REDELIVERY  COMPLETED  3 of 3`);
    expect((await millrace(['operations'])).out).toMatch(new RegExp(`^\\S+  ${id}  REDELIVERY  COMPLETED  3 of 3  by key:test$`));
  });

  test('an operation is cancelled by its id, and one that nobody knows is refused', async () => {
    await server.rows.bulkOperation({ tenant, id: 'bop_1' });
    expect(await millrace(['operations', 'cancel', 'bop_1'])).toEqual({ code: 0, out: 'bop_1 is being cancelled.', notes: '' });
    await server.rows.bulkOperation({ tenant, id: 'bop_1', state: 'completed', total: 3, done: 3 });
    expect((await millrace(['operations', 'cancel', 'bop_1'])).out).toContain('COMPLETED  3 of 3: there is nothing left to cancel');
    expect(await millrace(['operations', 'cancel', 'bop_x'])).toMatchObject({ code: 1, notes: 'There is no bulk operation bop_x' });
  });

  test('what makes no sense is refused by its field, and a moment or a rate that is none by its option', async () => {
    expect(await millrace(['redeliver', '--rate', '5000'])).toMatchObject({ code: 1, notes: 'ratePerSecond: must be from 1 to 1000' });
    expect((await millrace(['replay', '--from', 'yesterday'])).code).toBe(2);
    expect((await millrace(['replay', '--rate', 'fast'])).code).toBe(2);
  });

  test('an option that would be ignored is refused, because more would happen than was asked for', async () => {
    expect(await millrace(['replay', '--type', 'invoice.*'])).toMatchObject({ code: 2, notes: '--type goes with --events' });
    expect((await millrace(['replay', '--events', '--code', 'model.refused'])).code).toBe(2);
    expect((await millrace(['redeliver', '--state', 'delivered', '--code', 'delivery.gone'])).code).toBe(2);
  });
});

describe('dead letters', () => {
  beforeEach(async () => {
    const { rows } = server;
    await rows.event({ tenant, id: 'evt_1', customer: 'cus-9' });
    await rows.run({ tenant, id: 'run_1', event: 'evt_1', state: 'failed' });
    const createdAt = new Date('2026-11-20T10:00:00Z');
    await rows.deadLetter({ tenant, id: 'dlq_1', kind: 'run', event: 'evt_1', run: 'run_1', createdAt });
    await rows.deadLetter({ tenant, id: 'dlq_settled', kind: 'run', event: 'evt_1', run: 'run_1', resolved: true });
    await rows.hold({ tenant, customer: 'cus-1', deadLetter: 'dlq_1', records: 3 });
  });

  test('are listed with what waits behind them, the resolved ones are not', async () => {
    const line = /^2026-11-20T10:00:00.000Z  dlq_1  RUN  cus-1  evt_1  holds 3 in flows  \S+: .+$/;
    expect((await millrace(['dead-letters'])).out).toMatch(line);
    expect((await millrace(['dead-letters', 'list', '--customer', 'cus-1'])).out).toMatch(line);
    expect((await millrace(['dead-letters', 'list', '--code', 'model.none'])).out).toBe('');
  });

  test.each(['retry', 'skip'])('can be settled by %s once, and one that is settled or that nobody knows is refused', async (settle) => {
    expect(await millrace(['dead-letters', settle, 'dlq_1'])).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^dlq_1 is /) as string,
    });
    expect(await millrace(['dead-letters', settle, 'dlq_settled'])).toMatchObject({
      code: 1,
      notes: expect.stringContaining('is resolved already') as string,
    });
    expect(await millrace(['dead-letters', settle, 'dlq_x'])).toMatchObject({ code: 1, notes: 'There is no dead letter dlq_x' });
    expect((await millrace(['dead-letters', settle])).code).toBe(2);
  });
});

describe('the connection', () => {
  test('comes from the credentials that npm start leaves in the directory', async () => {
    mkdirSync(join(directory, '.millrace'));
    file('.millrace/credentials.json', JSON.stringify({ url: server.url, tenant, apiKey: 'mr_x', operatorKey: server.operatorKey }));
    await server.rows.event({ tenant, id: 'evt_file' });
    expect(await millrace(['events', 'get', 'evt_file'], { environment: {} })).toMatchObject({ code: 0 });
  });

  test('without a key, with a wrong one, or without a server, the command ends with 2 and says what to do', async () => {
    expect(await millrace(['get', 'flows'], { environment: {} })).toMatchObject({
      code: 2,
      notes: expect.stringContaining('set MILLRACE_API_KEY') as string,
    });
    const environment = { MILLRACE_URL: server.url, MILLRACE_API_KEY: 'mr_test_nope' };
    expect(await millrace(['get', 'flows'], { environment })).toMatchObject({
      code: 2,
      notes: expect.stringContaining('unknown, revoked or expired') as string,
    });
    expect(await millrace(['events', 'tail'], { environment })).toMatchObject({
      code: 2,
      notes: 'The API key is unknown, revoked or expired',
    });
    const nobody = { ...environment, MILLRACE_URL: 'http://127.0.0.1:9' };
    for (const command of [
      ['get', 'flows'],
      ['events', 'tail'],
    ]) {
      expect(await millrace(command, { environment: nobody })).toMatchObject({
        code: 2,
        notes: expect.stringContaining('does not answer at') as string,
      });
    }
  });

  test('a command line that cannot be read ends with 2, and --help with 0', async () => {
    expect((await millrace(['apply'])).code).toBe(2);
    expect((await millrace(['get', 'things'])).code).toBe(2);
    expect(await millrace(['--help'])).toMatchObject({ code: 0, out: expect.stringContaining('Usage: millrace') as string });
  });
});

test('the package names the launcher, and the launcher can be run', () => {
  const { bin } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as { bin: { millrace: string } };
  expect(readFileSync(new URL(`../../../${bin.millrace}`, import.meta.url), 'utf8')).toMatch(/^#!\/bin\/sh\n/);
});
