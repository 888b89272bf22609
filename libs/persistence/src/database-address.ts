import { isLoopback } from '#libs/ports';
import type { TlsFiles } from '#libs/tls';
import { logger } from '#libs/tracing';

/** The address of Postgres, or a setting beside it, asks for something that is not taken. The message names the remedy. */
export class DatabaseAddressRefused extends Error {
  override readonly name = 'DatabaseAddressRefused';
}

/** An address as the driver takes it, and how its connections are encrypted. */
export interface DatabaseAddress {
  /** Without the parameters about encryption, which the driver reads in a way of its own. */
  readonly connectionString: string;
  /** Undefined: connections are not encrypted. */
  readonly tls: TlsFiles | undefined;
}

/** The parameters of libpq that name files. */
const fileParameters = { caFile: 'sslrootcert', certificateFile: 'sslcert', keyFile: 'sslkey' } as const;

/** Modes of libpq that encrypt. All of them check the certificate and the host here, so that none is weaker than in libpq. */
const encrypting = new Set(['require', 'verify-ca', 'verify-full']);

/** Parameters that the driver takes and libpq does not, or the other way round, and what to write instead. */
const refusedParameters: Readonly<Record<string, string>> = {
  ssl: 'write sslmode=verify-full, or sslmode=disable',
  uselibpqcompat: 'leave it away: sslmode has the meanings in docs/operations.md',
  channel_binding: 'leave it away: sslmode=verify-full checks the server by its certificate',
};

const log = logger('persistence');
const warnedOf = new Set<string>();

/**
 * Reads `sslmode`, `sslrootcert`, `sslcert` and `sslkey` of an address, as libpq names them.
 * @throws DatabaseAddressRefused for a mode that may fall back to a connection in the clear and for parameters that do not fit together
 */
export function readDatabaseAddress(url: string): DatabaseAddress {
  const address = new URL(url);
  const take = (parameter: string): string | undefined => {
    const value = address.searchParams.get(parameter) ?? undefined;
    address.searchParams.delete(parameter);
    return value;
  };
  for (const [parameter, remedy] of Object.entries(refusedParameters)) {
    if (address.searchParams.has(parameter))
      throw new DatabaseAddressRefused(`${parameter} in the address of Postgres is not taken: ${remedy}`);
  }
  const mode = take('sslmode');
  const caFile = take(fileParameters.caFile);
  const tls = {
    caFile: caFile === 'system' ? undefined : caFile,
    certificateFile: take(fileParameters.certificateFile),
    keyFile: take(fileParameters.keyFile),
  };
  if ((tls.certificateFile === undefined) !== (tls.keyFile === undefined)) {
    throw new DatabaseAddressRefused(
      'The certificate and its key belong together: DATABASE_CERTIFICATE_FILE and DATABASE_KEY_FILE (sslcert and sslkey)',
    );
  }
  return { connectionString: address.href, tls: isEncrypted(mode, address.hostname, tls) ? tls : undefined };
}

function isEncrypted(mode: string | undefined, host: string, files: TlsFiles): boolean {
  if (mode !== undefined && encrypting.has(mode)) return true;
  if (Object.values(files).some((file) => file !== undefined)) {
    throw new DatabaseAddressRefused(
      'DATABASE_CA_FILE and DATABASE_CERTIFICATE_FILE (sslrootcert and sslcert) need sslmode=verify-full in the address',
    );
  }
  if (mode === undefined) warnOfClearText(host);
  else if (mode !== 'disable') {
    throw new DatabaseAddressRefused(
      `sslmode=${mode} in the address of Postgres is not taken, because a connection could be in the clear without a word: write sslmode=verify-full, or sslmode=disable`,
    );
  }
  return false;
}

/** One line per host: libpq would at least try to encrypt. */
function warnOfClearText(host: string): void {
  if (isLoopback(host) || warnedOf.has(host)) return;
  warnedOf.add(host);
  log.warn(
    { host },
    'connections to Postgres are not encrypted: add sslmode=verify-full to the address, or sslmode=disable if that is meant',
  );
}

/** Adds the files to an address that does not name its own. */
export function withTlsFiles(url: string, files: TlsFiles): string {
  const address = new URL(url);
  for (const [file, parameter] of Object.entries(fileParameters) as [keyof TlsFiles, string][]) {
    const path = files[file];
    if (path !== undefined && !address.searchParams.has(parameter)) address.searchParams.set(parameter, path);
  }
  return address.href;
}
