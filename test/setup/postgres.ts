import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Client } from 'pg';
import type { TestProject } from 'vitest/node';
import { EmbeddedPostgres } from '#libs/embedded-postgres';
import { migrate } from '#libs/migrations';
import { sharedByProjects } from './shared-by-projects.js';

const template = 'millrace_template';

/** One Postgres for the whole test run, of the programs in `TEST_POSTGRES_PROGRAMS` or else npm's, migrated once; each test takes a copy (`freshDatabase`). */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const { server, release } = await sharedByProjects('postgres', start);
  project.provide('postgresUrl', server.url);
  project.provide('postgresTemplate', template);
  return release;
}

async function start(): Promise<{ url: string; stop(): Promise<void> }> {
  const directory = await mkdtemp(path.join(tmpdir(), 'millrace-test-postgres-'));
  const programs = process.env['TEST_POSTGRES_PROGRAMS'];
  const postgres = await EmbeddedPostgres.start({ directory, durable: false, ...(programs && { programs }) });
  await createTemplate(postgres);
  return {
    url: postgres.administratorUrl,
    stop: async () => {
      await postgres.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

async function createTemplate({ administratorUrl, ownerUrl }: EmbeddedPostgres): Promise<void> {
  const admin = new Client({ connectionString: administratorUrl });
  await admin.connect();
  await admin.query(`CREATE DATABASE ${template} OWNER millrace_owner`);
  await admin.end();
  await migrate(Object.assign(new URL(ownerUrl), { pathname: `/${template}` }).href);
}
