import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { expect, onTestFinished, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { EmbeddedPostgres } from '#libs/embedded-postgres';
import { migrate } from '#libs/migrations';
import { Database, TenantDatabase } from '#libs/persistence';

interface Secret {
  kind: string;
  metadata: { name: string };
  stringData?: Record<string, string>;
}

test('the Secrets of the local overlay hold logins with which migrations and services work', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-local-secrets-'));
  const postgres = await EmbeddedPostgres.start({ directory, durable: false });
  onTestFinished(async () => {
    await postgres.stop();
    rmSync(directory, { recursive: true, force: true });
  });
  const on = (database: string): Client =>
    new Client({ connectionString: Object.assign(new URL(postgres.administratorUrl), { pathname: `/${database}` }).href });
  const outside = on('postgres');
  await outside.connect();
  await outside.query('DROP DATABASE millrace WITH (FORCE)');
  await outside.query('DROP ROLE millrace_owner, millrace_service, millrace_query');
  await outside.query('CREATE DATABASE millrace');
  await outside.end();

  const printed = execFileSync('sh', ['k8s/overlays/local/secrets.sh'], { encoding: 'utf8' });
  const secrets = new Map(parseAllDocuments(printed).map((one) => [(one.toJS() as Secret).metadata.name, one.toJS() as Secret]));
  const of = (secret: string, key: string): string => secrets.get(secret)!.stringData![key]!;
  expect(Buffer.from(of('ingestion', 'SECRETS_KEY'), 'base64')).toHaveLength(32);

  const administrator = on('millrace');
  await administrator.connect();
  await administrator.query(of('postgres', 'logins.sql'));
  await administrator.end();
  const { host } = new URL(postgres.administratorUrl);
  const here = (secret: string, key = 'DATABASE_URL'): string => Object.assign(new URL(of(secret, key)), { host }).href;
  await migrate(here('migrate'));
  for (const service of ['ingestion', 'ai-processing', 'connectors', 'query']) {
    await (await Database.connect({ url: here(service), role: 'millrace_service', applicationName: 'local' })).close();
  }
  const callers = await TenantDatabase.connect({
    url: here('query', 'QUERY_DATABASE_URL'),
    role: 'millrace_query',
    applicationName: 'local',
  });
  await callers.close();
});
