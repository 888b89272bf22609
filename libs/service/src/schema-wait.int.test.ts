import { randomBytes } from 'node:crypto';
import { Client, escapeIdentifier } from 'pg';
import { expect, inject, onTestFinished, test } from 'vitest';
import { SecretBox } from '#libs/auth';
import { migrate } from '#libs/migrations';
import { freePort } from '#libs/ports';
import { uniqueName, waitFor } from '#libs/testing';
import { start } from './start.js';

test('a service that starts before its schema waits for it, says what for, and goes on when it is there', async () => {
  const admin = new Client({ connectionString: inject('postgresUrl') });
  await admin.connect();
  const name = uniqueName('unmigrated');
  await admin.query(`CREATE DATABASE ${escapeIdentifier(name)} OWNER millrace_owner`);
  onTestFinished(async () => {
    await admin.query(`DROP DATABASE ${escapeIdentifier(name)} WITH (FORCE)`);
    await admin.end();
  });
  const as = (username: string): string => Object.assign(new URL(inject('postgresUrl')), { pathname: `/${name}`, username }).href;
  const port = await freePort();
  const storage = { url: as('millrace_service'), poolSize: 2, secretBox: new SecretBox(randomBytes(32)) };
  const starting = start({ service: 'test', host: '127.0.0.1', port, storage, modules: [] });
  const ready = async (): Promise<{ status: number; storage: string }> => {
    const response = await fetch(`http://127.0.0.1:${port}/readyz`);
    return { status: response.status, storage: ((await response.json()) as { parts: { storage: string } }).parts.storage };
  };
  await waitFor(async () => (await ready().catch(() => undefined))?.storage.includes('The database lacks the migrations'), {
    what: 'the reason',
  });
  expect(await ready()).toMatchObject({ status: 503, storage: expect.stringContaining('Run `npm run migrate`') });
  expect((await fetch(`http://127.0.0.1:${port}/anything`)).status).toBe(503);
  await migrate(as('millrace_owner'));
  const service = await starting;
  await service.stop();
});
