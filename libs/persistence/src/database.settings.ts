import { optionalFile, url } from '#libs/config';
import type { Settings } from '#libs/config';
import { readDatabaseAddress, withTlsFiles } from './database-address.js';

/** The files of connections to Postgres that are encrypted. */
export const databaseTlsSettings = {
  databaseCaFile: optionalFile('DATABASE_CA_FILE', {
    help: 'PEM file of the authorities that Postgres’ certificate comes from. Empty: those that Node trusts. Read again for each connection, as the next two.',
  }),
  databaseCertificateFile: optionalFile('DATABASE_CERTIFICATE_FILE', {
    help: 'PEM file of this process’s certificate, where Postgres asks for one.',
  }),
  databaseKeyFile: optionalFile('DATABASE_KEY_FILE', { help: 'PEM file of the key of that certificate.' }),
};

/** How a process connects to Postgres. */
export const databaseSettings = {
  databaseUrl: url('DATABASE_URL', ['postgres', 'postgresql'], {
    help: 'Address of Postgres, with user and password. With ?sslmode=verify-full, connections are encrypted and the server is checked.',
    secret: true,
  }),
  ...databaseTlsSettings,
};

/**
 * An address with the files of the settings in it, as libpq names them.
 * @param address such as DATABASE_URL
 * @throws DatabaseAddressRefused
 */
export function databaseUrl(address: string, settings: Settings<typeof databaseTlsSettings>): string {
  const { databaseCaFile: caFile, databaseCertificateFile: certificateFile, databaseKeyFile: keyFile } = settings;
  const complete = withTlsFiles(address, { caFile, certificateFile, keyFile });
  readDatabaseAddress(complete);
  return complete;
}
