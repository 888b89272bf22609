import { randomBytes } from 'node:crypto';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { expect, onTestFinished, test } from 'vitest';
import { SecretBox } from '#libs/auth';
import { EmbeddedPostgres } from '#libs/embedded-postgres';
import { migrate } from '#libs/migrations';
import { freePort } from '#libs/ports';
import { waitFor } from '#libs/testing';
import { start } from './start.js';

/** A standby of a migrated database, of a primary that is gone. */
async function standbyOfNobody(): Promise<EmbeddedPostgres> {
  const directory = await mkdtemp(join(tmpdir(), 'millrace-standby-'));
  onTestFinished(() => rm(directory, { recursive: true }));
  const primary = await EmbeddedPostgres.start({ directory: join(directory, 'primary'), durable: false });
  await migrate(primary.ownerUrl);
  await primary.stop();
  await cp(join(directory, 'primary'), join(directory, 'standby'), { recursive: true });
  const standby = await EmbeddedPostgres.start({ directory: join(directory, 'standby'), durable: false, isStandby: true });
  onTestFinished(() => standby.stop());
  return standby;
}

test.each([
  ['a service with a door', false, { status: 200, word: 'degraded' }],
  ['a worker', true, { status: 503, word: 'unavailable' }],
])('%s waits for a standby to be promoted, and says so when its server takes no writes any more', async (_what, isWorker, later) => {
  const standby = await standbyOfNobody();
  const administrator = new Client({ connectionString: standby.administratorUrl });
  await administrator.connect();
  const port = await freePort();
  const storage = { url: standby.serviceUrl, poolSize: 2, secretBox: new SecretBox(randomBytes(32)) };
  const starting = start({ service: 'test', host: '127.0.0.1', port, storage, isWorker, modules: [] });
  const ready = async (): Promise<{ httpStatus: number; status: string; storage: string }> => {
    const response = await fetch(`http://127.0.0.1:${port}/readyz`);
    const { status, parts } = (await response.json()) as { status: string; parts: { storage: string } };
    return { httpStatus: response.status, status, storage: parts.storage };
  };
  const says = (reason: string): Promise<unknown> =>
    waitFor(async () => (await ready().catch(() => undefined))?.storage.includes(reason), { what: reason });

  await says('this server is a standby, which takes no writes: DATABASE_URL must lead to the primary');
  expect(await ready()).toMatchObject({ httpStatus: 503, status: 'unavailable' });

  await administrator.query('SELECT pg_promote()');
  const service = await starting;
  expect(await ready()).toEqual({ httpStatus: 200, status: 'ok', storage: 'ok' });

  await administrator.query('ALTER SYSTEM SET default_transaction_read_only = on');
  await administrator.query('SELECT pg_reload_conf()');
  await says('its sessions take no writes (default_transaction_read_only)');
  expect(await ready()).toMatchObject({ httpStatus: later.status, status: later.word });
  await service.stop();
  await administrator.end();
});
