import { appendFileSync, chmodSync, chownSync, copyFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client } from 'pg';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { EmbeddedPostgres } from '#libs/embedded-postgres';
import { migrate } from '#libs/migrations';
import { waitFor } from '#libs/testing';
import { Database, statement } from './index.js';

/** Its certificates are for 127.0.0.1, and not for localhost. */
const pem = (file: string): string => fileURLToPath(new URL(`../../../tools/kafka/certificates/${file}`, import.meta.url));
const ca = `sslrootcert=${pem('ca.pem')}`;
const certificate = (certificateFile: string, keyFile: string): string => `sslcert=${certificateFile}&sslkey=${keyFile}`;

let directory: string;
let postgres: EmbeddedPostgres;
let owner: Client;

/** A Postgres that takes encrypted connections only, but for the superuser that starts it, and one login by its certificate. */
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'millrace-secured-'));
  postgres = await EmbeddedPostgres.start({ directory, durable: false });
  const admin = new Client({ connectionString: postgres.administratorUrl });
  await admin.connect();
  await admin.query('CREATE ROLE certified LOGIN IN ROLE millrace_service');
  await admin.end();
  await migrate(postgres.ownerUrl);
  await postgres.stop();
  const data = join(directory, 'data');
  for (const file of ['server.pem', 'server.key', 'ca.pem']) putAsServer(pem(file), join(data, file));
  const files = `ssl_cert_file = 'server.pem'\nssl_key_file = 'server.key'\nssl_ca_file = 'ca.pem'`;
  appendFileSync(join(data, 'postgresql.conf'), `\nssl = on\n${files}\n`);
  writeFileSync(
    join(data, 'pg_hba.conf'),
    'hostssl all certified 127.0.0.1/32 cert map=certificates\nhost all millrace 127.0.0.1/32 scram-sha-256\nhostssl all all 127.0.0.1/32 scram-sha-256\n',
  );
  writeFileSync(join(data, 'pg_ident.conf'), 'certificates client certified\n');
  postgres = await EmbeddedPostgres.start({ directory, durable: false });
  owner = new Client({ connectionString: postgres.administratorUrl });
  await owner.connect();
});
afterAll(async () => {
  await owner?.end();
  await postgres?.stop();
  rmSync(directory, { recursive: true, force: true });
});

/** Postgres refuses a key that others may read. */
function putAsServer(from: string, to: string): void {
  const { uid, gid } = statSync(join(directory, 'data'));
  copyFileSync(from, to);
  chmodSync(to, 0o600);
  chownSync(to, uid, gid);
}

function addressOf(parameters: string, changed: { username?: string; password?: string; hostname?: string } = {}): string {
  return `${Object.assign(new URL(postgres.serviceUrl), changed).href}?${parameters}`;
}

function connect(url: string): Promise<Database> {
  return Database.connect({ url, role: 'millrace_service', applicationName: 'secured' });
}

const session = statement('test.securedSession', 'SELECT session_user AS login, pg_backend_pid() AS pid');

/** The session of a new connection, as a superuser sees it. */
async function use(url: string): Promise<unknown> {
  const database = await connect(url);
  try {
    const [own] = await database.query<{ login: string; pid: number }>(session);
    const { rows } = await owner.query('SELECT ssl, client_dn AS subject FROM pg_stat_ssl WHERE pid = $1', [own!.pid]);
    return { login: own!.login, ...rows[0] };
  } finally {
    await database.close();
  }
}

const asClient = { username: 'certified', password: '' };

test('the right host with the right authority is connected to, encrypted', async () => {
  expect(await use(addressOf(`sslmode=verify-full&${ca}`))).toEqual({ login: 'millrace_service', ssl: true, subject: null });
});

test('a login is known by its certificate, without a password', async () => {
  const own = certificate(pem('client.pem'), pem('client.key'));
  expect(await use(addressOf(`sslmode=verify-full&${ca}&${own}`, asClient))).toEqual({
    login: 'certified',
    ssl: true,
    subject: '/CN=client',
  });
});

test.each([
  ['another host', () => addressOf(`sslmode=verify-full&${ca}`, { hostname: 'localhost' }), 'its certificate is for another host'],
  ['another host, however little was asked for', () => addressOf(`sslmode=require&${ca}`, { hostname: 'localhost' }), 'for another host'],
  ['an authority that Node does not know', () => addressOf('sslmode=verify-full'), 'DATABASE_CA_FILE must hold the authority'],
  ['another authority', () => addressOf(`sslmode=verify-full&sslrootcert=${pem('client.pem')}`), 'its certificate is not trusted'],
  ['a file that is gone', () => addressOf('sslmode=verify-full&sslrootcert=/nothing'), `no such file or directory, open '/nothing'`],
  ['a connection in the clear', () => addressOf('sslmode=disable'), 'no encryption'],
  ['no certificate', () => addressOf(`sslmode=verify-full&${ca}`, asClient), 'requires a valid client certificate'],
])('is refused with the reason: %s', async (_, url, reason) => {
  await expect(use(url())).rejects.toThrow(reason);
});

test('a server that does not encrypt is refused', async () => {
  const plain = mkdtempSync(join(tmpdir(), 'millrace-plain-'));
  const other = await EmbeddedPostgres.start({ directory: plain, durable: false });
  onTestFinished(async () => {
    await other.stop();
    rmSync(plain, { recursive: true, force: true });
  });
  await expect(use(`${other.serviceUrl}?sslmode=verify-full&${ca}`)).rejects.toThrow(
    'it does not encrypt connections: set `ssl = on` there',
  );
  await expect(migrate(`${other.ownerUrl}?sslmode=verify-full&${ca}`)).rejects.toThrow('it does not encrypt connections');
});

test('migrations run over it', async () => {
  await migrate(`${postgres.ownerUrl}?sslmode=verify-full&${ca}`);
  const { rows } = await owner.query(
    'SELECT count(*)::integer AS clear FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename = $1 AND NOT ssl',
    ['millrace_owner'],
  );
  expect(rows).toEqual([{ clear: 0 }]);
  await expect(migrate(`${postgres.ownerUrl}?sslmode=verify-full`)).rejects.toThrow('DATABASE_CA_FILE must hold the authority');
});

test('a renewed certificate counts from the next connection on, for listeners too', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-certificates-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const [certificateFile, keyFile] = [join(folder, 'tls.crt'), join(folder, 'tls.key')];
  copyFileSync(pem('client.pem'), certificateFile);
  copyFileSync(pem('client.key'), keyFile);
  const database = await connect(addressOf(`sslmode=verify-full&${ca}&${certificate(certificateFile, keyFile)}`, asClient));
  onTestFinished(() => database.close());
  const heard: string[] = [];
  const subscription = await database.listen('secured_channel', (payload) => heard.push(payload));
  onTestFinished(() => subscription.close());
  expect(heard).toEqual(['']);
  const breakConnections = () => owner.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'certified'`);

  rmSync(keyFile); // a moment of a renewal
  await breakConnections();
  await waitFor(async () => (await database.ping().catch((error: Error) => error.message))?.includes('no such file'), {
    what: 'the refusal',
  });
  writeFileSync(keyFile, readFileSync(pem('client.key')));
  await waitFor(() => database.query(session).catch(() => undefined), { what: 'a connection with the renewed key' });
  await waitFor(() => heard.length === 2, { what: 'the listener with the renewed key' });
});
