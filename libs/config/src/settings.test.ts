import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import {
  SettingsInvalid,
  integer,
  key,
  optionalBearerKey,
  optionalInteger,
  optionalText,
  origins,
  readSettings,
  text,
  url,
} from './settings.js';

const table = {
  port: integer('PORT', { min: 0, max: 65_535 }, { help: 'Where it listens.', fallback: '8080' }),
  databaseUrl: url('DATABASE_URL', ['postgres', 'postgresql'], { help: 'Where Postgres is.', secret: true }),
  region: text('REGION', { help: 'Where it runs.' }),
  note: optionalText('NOTE', { help: 'Anything.' }),
};

test('values are read by type, and defaults fill what is not set or empty', () => {
  const settings = readSettings('demo', table, { DATABASE_URL: 'postgres://h/d', REGION: 'eu', PORT: '' });
  expect(settings).toEqual({ port: 8080, databaseUrl: 'postgres://h/d', region: 'eu', note: undefined });
  expect(Object.isFrozen(settings)).toBe(true);
});

test('all problems come together, and a secret is not among the words', () => {
  const read = () => readSettings('demo', table, { PORT: '8o80', DATABASE_URL: 'mysql://root:hunter2@h' });
  expect(read).toThrow(SettingsInvalid);
  expect(read).toThrow(
    'demo cannot start, 3 settings are wrong:\n' +
      "  PORT must be a whole number from 0 to 65535; it is '8o80'\n" +
      '  DATABASE_URL must be an address that starts with postgres:// or postgresql://\n' +
      '  REGION is not set (text): Where it runs.',
  );
});

test('a secret may stand in a file, with a line break at its end, and nothing else may', () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-settings-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'database-url');
  writeFileSync(file, 'postgres://user:hunter2@h/d\r\n');
  const read = (more: Record<string, string>) => readSettings('demo', table, { REGION: 'eu', ...more });
  expect(read({ DATABASE_URL_FILE: file }).databaseUrl).toBe('postgres://user:hunter2@h/d');
  expect(() => read({ DATABASE_URL_FILE: file, DATABASE_URL: 'postgres://h/d' })).toThrow(
    'DATABASE_URL and DATABASE_URL_FILE are both set; keep one of them',
  );
  expect(() => read({ DATABASE_URL_FILE: join(folder, 'none') })).toThrow(
    `DATABASE_URL_FILE names a file that cannot be read (ENOENT): ${folder}/none`,
  );
  expect(() => read({ DATABASE_URL_FILE: folder })).toThrow('(EISDIR)');
  writeFileSync(file, '\n');
  expect(() => read({ DATABASE_URL_FILE: file })).toThrow('DATABASE_URL is not set');
  writeFileSync(file, 'mysql://hunter2');
  expect(() => read({ DATABASE_URL_FILE: file })).toThrow(/must be an address that starts with postgres:\/\/ or postgresql:\/\/$/);
  expect(read({ DATABASE_URL: 'postgres://h/d', NOTE_FILE: file }).note).toBeUndefined();
});

test('a key of the wrong length is told with the other problems, without the key', () => {
  const read = () =>
    readSettings('demo', { secretsKey: key('SECRETS_KEY', { help: 'What secrets are encrypted with.' }) }, { SECRETS_KEY: 'c2hvcnQ=' });
  expect(read).toThrow('SECRETS_KEY must be 32 bytes in base64 (make one with: openssl rand -base64 32)');
  expect(read).not.toThrow('c2hvcnQ=');
});

test('an address with a user and a password is refused, without the password, where the setting is not secret', () => {
  const peer = { peerUrl: url('PEER_URL', ['http', 'https'], { help: 'Where the peer is.' }) };
  const read = () => readSettings('demo', peer, { PEER_URL: 'https://user:hunter2@h/x' });
  expect(read).toThrow("PEER_URL must contain no user or password; it is 'https://…@h/x'");
  expect(readSettings('demo', table, { REGION: 'eu', DATABASE_URL: 'postgres://user:hunter2@h/d' })).toMatchObject({
    databaseUrl: 'postgres://user:hunter2@h/d',
  });
});

const bearer = { operatorKey: optionalBearerKey('OPERATOR_KEY', { help: 'The key of the operator.' }) };

test.each([
  'a',
  'correct horse battery staple and so on',
  'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',
  '01010101010101010101010101010101',
  'mr_local_operator_change-me-change-me-change-me',
  'ä'.repeat(40),
  '0123456789abcdef0123456789abcde',
])('a bearer key that can be guessed or cannot be sent is refused with the remedy: %s', (value) => {
  const read = () => readSettings('demo', bearer, { OPERATOR_KEY: value });
  expect(read).toThrow('OPERATOR_KEY must be at least 32 random characters without spaces (make one with: openssl rand -hex 32)');
});

test('a random bearer key is accepted, and so is none', () => {
  const operatorKey = 'mr_test_operator_0123456789abcdef0123456789abcdef';
  expect(readSettings('demo', bearer, { OPERATOR_KEY: operatorKey })).toEqual({ operatorKey });
  expect(readSettings('demo', bearer, {})).toEqual({ operatorKey: undefined });
});

test('origins are taken without a path, and none is the default', () => {
  const pages = { allowedOrigins: origins('ALLOWED_ORIGINS', { help: 'Which pages may call.' }) };
  const read = (value?: string) => readSettings('demo', pages, { ALLOWED_ORIGINS: value }).allowedOrigins;
  expect([read(), read('*'), read('https://a.example, http://b.example:81')]).toEqual([
    [],
    ['*'],
    ['https://a.example', 'http://b.example:81'],
  ]);
  for (const wrong of ['https://a.example/', 'a.example', 'https://a.example/path'])
    expect(() => read(wrong)).toThrow('ALLOWED_ORIGINS must be origins (scheme, host and port, without a path)');
});

test('a number that may be left out is undefined then', () => {
  const own = { port: optionalInteger('OWN_PORT', { min: 0, max: 65_535 }, { help: 'A port.' }) };
  const read = (value?: string) => readSettings('demo', own, { OWN_PORT: value }).port;
  expect([read(), read(''), read('0'), read('9090')]).toEqual([undefined, undefined, 0, 9090]);
  expect(() => read('x')).toThrow("OWN_PORT must be a whole number from 0 to 65535; it is 'x'");
});
