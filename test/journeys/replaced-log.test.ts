import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client as PostgresClient } from 'pg';
import { afterEach, expect, onTestFailed, test } from 'vitest';
import { freePort, takesConnections } from '#libs/ports';
import { freshDatabase, startHttpSink, uniqueName, waitFor } from '#libs/testing';
import { fourProcesses } from '../forms/forms.js';
import type { Form } from '../forms/forms.js';
import { ServiceProcess } from '../forms/service-process.js';
import { Client } from './client.js';
import { tenantDocuments } from './documents.js';
import { helpdesk } from './partner.js';

const ended: (() => Promise<unknown> | void)[] = [];
afterEach(async () => {
  for (const end of ended.splice(0).toReversed()) await end();
});

async function newLog(): Promise<string> {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-log-'));
  const port = await freePort();
  const log = new ServiceProcess(
    'local-broker',
    port,
    { LOCAL_BROKER_PORT: String(port), LOCAL_BROKER_DIRECTORY: directory },
    takesConnections,
  );
  ended.push(async () => {
    await log.kill();
    rmSync(directory, { recursive: true, force: true });
  });
  await log.start();
  return `127.0.0.1:${port}`;
}

/** A flow that gives `poison` up, and delivers everything else. */
function documents(tenant: string, destinationUrl: string): object[] {
  const flow = {
    apiVersion: 'millrace/v1',
    kind: 'Flow',
    metadata: { tenant, name: 'triage' },
    spec: {
      steps: [
        { id: 'read', map: { expression: 'event.data.data.message = "poison" ? $number("poison") : event.data.data.message' } },
        { id: 'tell', deliver: { destination: 'crm' } },
      ],
    },
  };
  return [...tenantDocuments(tenant, destinationUrl).filter((each) => !('kind' in each && each.kind === 'Flow')), flow];
}

/** Places of held records that two logs have in common. */
async function collisions(databaseUrl: string): Promise<number> {
  const postgres = new PostgresClient({ connectionString: databaseUrl });
  await postgres.connect();
  try {
    const { rows } = await postgres.query<{ count: number }>(
      `SELECT count(*)::int AS count FROM held_record a JOIN held_record b USING (topic, partition, log_offset) WHERE a.log < b.log`,
    );
    return rows[0]!.count;
  } finally {
    await postgres.end();
  }
}

test('after the log was replaced and Postgres kept, records at the places of held ones are held, run and stand beside them', async () => {
  const { url: databaseUrl, queryUrl: queryDatabaseUrl } = await freshDatabase();
  const sink = await startHttpSink();
  ended.push(() => sink.stop());
  const shared = {
    databaseUrl,
    queryDatabaseUrl,
    secretsKey: randomBytes(32).toString('base64'),
    logPrefix: `${uniqueName('replaced')}.`,
    recoversQuickly: true,
  };
  const started = async (): Promise<Form> => {
    const form = await fourProcesses({ ...shared, brokers: [await newLog()] });
    ended.push(() => form.dispose());
    onTestFailed(() => console.log(form.tail()));
    await form.start();
    return form;
  };
  const send = async (client: Client, name: string, messages: string[]): Promise<string[]> => {
    const ids: string[] = [];
    for (const [at, message] of messages.entries()) ids.push(await client.accepted(helpdesk(`${name}-${at}`, 'cust-1', message)));
    return ids;
  };
  const held = (client: Client, count: number) =>
    waitFor(async () => (await client.holdsOf('cust-1'))[0]?.heldRecords === count, { deadlineMs: 60_000, what: `${count} held records` });

  const former = await started();
  const before = new Client(former, uniqueName('tenant'), former.operatorKey);
  await before.apply(documents(before.tenant, sink.url));
  const [poison, ...behind] = await send(before, 'old', ['poison', 'a', 'b', 'c']);
  await held(before, 4);
  const { deadLetters } = await before.storyWhen(poison!, 'its dead letter', (story) => story.deadLetters.length === 1);
  await former.stop();

  const form = await started();
  const client = new Client(form, before.tenant, form.operatorKey);
  const added = await send(client, 'new', ['d', 'e', 'f', 'g', 'h', 'i', 'j', 'poison']);
  await held(client, 12);
  expect(await collisions(databaseUrl)).toBeGreaterThan(0);

  const skip = `mutation ($input: SettleDeadLetterInput!) { settled: skipDeadLetter(input: $input) { __typename } }`;
  const { settled } = await client.graphql<{ settled: object }>(skip, { input: { id: deadLetters[0]!.id, idempotencyKey: 'skip' } });
  expect(settled).toEqual({ __typename: 'SkipDeadLetterSuccess' });
  for (const eventId of [...behind, ...added.slice(0, -1)]) {
    const story = await client.delivered(eventId, 60_000);
    expect(story.runs).toHaveLength(1);
  }
  const again = await client.storyWhen(added.at(-1)!, 'a dead letter of its own', (story) => story.deadLetters.length === 1);
  expect(again.deadLetters).toMatchObject([{ code: 'flow.expressionFailed', resolvedAt: null }]);
  expect(again.deadLetters[0]!.id).not.toBe(deadLetters[0]!.id);
}, 300_000);
