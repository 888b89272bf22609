import { expect, test } from 'vitest';
import { readDatabaseAddress } from './database-address.js';
import { databaseUrl } from './database.settings.js';

const read = (query: string) => readDatabaseAddress(`postgres://u:p@db.example/d${query}`);

test.each(['require', 'verify-ca', 'verify-full'])('%s encrypts, and checks the certificate and the host', (mode) => {
  expect(read(`?sslmode=${mode}&application_name=x`)).toEqual({
    connectionString: 'postgres://u:p@db.example/d?application_name=x',
    tls: { caFile: undefined, certificateFile: undefined, keyFile: undefined },
  });
});

test('files are named as libpq names them, and `system` is what Node trusts', () => {
  expect(read('?sslmode=verify-full&sslrootcert=/ca&sslcert=/cert&sslkey=/key').tls).toEqual({
    caFile: '/ca',
    certificateFile: '/cert',
    keyFile: '/key',
  });
  expect(read('?sslmode=verify-full&sslrootcert=system').tls).toMatchObject({ caFile: undefined });
});

test.each(['', '?sslmode=disable'])('without a mode, and with `disable`, nothing is encrypted: "%s"', (query) => {
  expect(read(query).tls).toBeUndefined();
});

test.each([
  ['?sslmode=prefer', 'sslmode=prefer in the address of Postgres is not taken, because a connection could be in the clear'],
  ['?sslmode=allow', 'write sslmode=verify-full, or sslmode=disable'],
  ['?sslmode=no-verify', 'write sslmode=verify-full, or sslmode=disable'],
  ['?ssl=true', 'ssl in the address of Postgres is not taken: write sslmode=verify-full'],
  ['?sslmode=require&uselibpqcompat=true', 'uselibpqcompat in the address of Postgres is not taken'],
  ['?sslmode=require&channel_binding=require', 'channel_binding in the address of Postgres is not taken'],
  ['?sslrootcert=/ca', 'need sslmode=verify-full in the address'],
  ['?sslmode=disable&sslcert=/cert&sslkey=/key', 'need sslmode=verify-full in the address'],
  ['?sslmode=verify-full&sslcert=/cert', 'The certificate and its key belong together'],
])('what could be weaker than libpq, or does not fit together, is refused with the remedy: %s', (query, message) => {
  expect(() => read(query)).toThrow(message);
});

test('the files of the settings count where the address does not name its own', () => {
  const settings = { databaseCaFile: '/own ca', databaseCertificateFile: '/own.crt', databaseKeyFile: '/own.key' };
  const filesOf = (address: string) => readDatabaseAddress(databaseUrl(address, settings)).tls;
  expect(filesOf('postgres://h/d?sslmode=verify-full')).toEqual({ caFile: '/own ca', certificateFile: '/own.crt', keyFile: '/own.key' });
  expect(filesOf('postgres://h/d?sslmode=verify-full&sslcert=/a&sslkey=/b')).toEqual({
    caFile: '/own ca',
    certificateFile: '/a',
    keyFile: '/b',
  });
  expect(() => databaseUrl('postgres://h/d', settings)).toThrow('need sslmode=verify-full');
});
