/** @module-tag both-logs A log that comes back decides when its clients may create topics, join groups and append. */
import { afterEach, describe, expect, onTestFailed, test } from 'vitest';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort, takesConnections } from '#libs/ports';
import { Gate, freshDatabase, sameOnEveryLog, startHttpSink, testBrokers, uniqueName, waitFor } from '#libs/testing';
import { Client } from './client.js';
import { tenantDocuments } from './documents.js';
import { fourProcesses, oneProcess } from '../forms/forms.js';
import type { Form } from '../forms/forms.js';
import { ServiceProcess } from '../forms/service-process.js';
import { helpdesk } from './partner.js';

const ended: (() => Promise<unknown> | void)[] = [];
afterEach(async () => {
  for (const end of ended.splice(0).toReversed()) await end();
});

async function launched(form: Form): Promise<Form> {
  ended.push(() => form.dispose());
  onTestFailed(() => console.log(form.tail()));
  form.launch();
  return form;
}

/** In front of a server that its clients cannot reach yet. */
async function closedGate(address: string): Promise<Gate> {
  const gate = await Gate.before(address);
  ended.push(() => gate.close());
  return gate;
}

async function gateToPostgres(): Promise<{ gate: Gate; databaseUrl: string; queryDatabaseUrl: string }> {
  const { url, queryUrl } = await freshDatabase();
  const gate = await closedGate(new URL(url).host);
  const through = (direct: string): string => Object.assign(new URL(direct), { host: gate.address }).href;
  return { gate, databaseUrl: through(url), queryDatabaseUrl: through(queryUrl) };
}

const logPrefix = (): string => `${uniqueName('outage')}.`;

/** Lives, is not ready, and says why. */
async function waitsFor(part: string, form: Form): Promise<void> {
  for (const url of form.services) {
    await waitFor(
      async () => {
        const { parts } = (await (await fetch(`${url}/readyz`)).json()) as { parts: Record<string, string> };
        return parts[part]?.includes('ECONNREFUSED');
      },
      { what: `${url} to say that the ${part} is away`, deadlineMs: 60_000 },
    );
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
    expect((await fetch(`${url}/readyz`)).status).toBe(503);
  }
}

/** A tenant's documents are taken, and a signed webhook of it goes all the way. */
async function works(form: Form): Promise<Client> {
  const sink = await startHttpSink();
  ended.push(() => sink.stop());
  const client = new Client(form, uniqueName('tenant'), form.operatorKey);
  await client.apply(tenantDocuments(client.tenant, sink.url));
  return client;
}

/** A log whose process can be made to stand still. */
async function ownLog(): Promise<ServiceProcess> {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-outage-'));
  const port = await freePort();
  const environment = { LOCAL_BROKER_PORT: String(port), LOCAL_BROKER_DIRECTORY: directory };
  const log = new ServiceProcess('local-broker', port, environment, takesConnections);
  ended.push(async () => {
    await log.kill();
    rmSync(directory, { recursive: true, force: true });
  });
  await log.start();
  return log;
}

describe('a process that starts', () => {
  test.each([
    {
      title: 'one of the four',
      formOn: async (brokers: string[]) => {
        const { url: databaseUrl, queryUrl: queryDatabaseUrl } = await freshDatabase();
        return fourProcesses({ brokers, logPrefix: logPrefix(), databaseUrl, queryDatabaseUrl });
      },
    },
    { title: 'the one that is all', formOn: (brokers: string[]) => oneProcess({ brokers, logPrefix: logPrefix() }) },
  ])('while the log is away waits for it, and then works: $title', async ({ formOn }) => {
    const gate = await closedGate(testBrokers()[0]!);
    const form = await launched(await formOn([gate.address]));
    await waitsFor('log', form);
    const refused = await fetch(`${form.doors}/webhooks/acme.helpdesk`, { method: 'POST', ...helpdesk('msg_1', 'cust-1', 'Hello') });
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '1']);
    await gate.open();
    await form.ready();
    await works(form);
  });

  sameOnEveryLog(() => {
    test('while Postgres is away waits for it, and then works', async () => {
      const { gate, databaseUrl, queryDatabaseUrl } = await gateToPostgres();
      const form = await launched(await fourProcesses({ brokers: testBrokers(), logPrefix: logPrefix(), databaseUrl, queryDatabaseUrl }));
      await waitsFor('storage', form);
      await gate.open();
      await form.ready();
      await works(form);
    });

    test('and waits for what is away ends at once when it is asked to', async () => {
      const gate = await closedGate(testBrokers()[0]!);
      const { databaseUrl, queryDatabaseUrl } = await gateToPostgres();
      const form = await launched(await fourProcesses({ brokers: [gate.address], logPrefix: logPrefix(), databaseUrl, queryDatabaseUrl }));
      await waitsFor('log', form);
      const askedAt = performance.now();
      expect(await form.stop()).toEqual([0, 0, 0, 0, 0]);
      expect(performance.now() - askedAt).toBeLessThan(5_000);
    });
  });
});

sameOnEveryLog(() => {
  test('a process whose log and Postgres take everything and answer nothing ends in the time that a stop may take', async () => {
    const log = await ownLog();
    const { gate, databaseUrl, queryDatabaseUrl } = await gateToPostgres();
    await gate.open();
    const stopTimeoutMs = 4_000;
    const brokers = [`127.0.0.1:${log.port}`];
    const form = await launched(await fourProcesses({ brokers, logPrefix: logPrefix(), databaseUrl, queryDatabaseUrl, stopTimeoutMs }));
    await form.ready();
    const client = await works(form);
    const unanswered = Array.from({ length: 100 }, (_, n) =>
      client.send(helpdesk(`msg_${n}`, `cust-${n % 10}`, 'Hello')).catch(() => undefined),
    );
    await client.accepted(helpdesk('msg_last', 'cust-1', 'Hello'));
    log.pause();
    gate.deafen();
    const askedAt = performance.now();
    const codes = await form.stop();
    expect(performance.now() - askedAt).toBeLessThan(stopTimeoutMs + 2_000);
    expect(codes.every((code) => code === 0 || code === 1)).toBe(true);
    await Promise.all(unanswered);
  });
});
