import type { Json } from '#libs/json';

/** A connection as a check sees it when its document is applied. */
export interface CheckedConnection {
  /** With the defaults of the manifest. */
  readonly settings: { readonly [name: string]: Json };
  /** The settings that stand in the document. */
  readonly given: { readonly [name: string]: Json };
  /** The kinds of its credential: one, or `mtls` with the one beside the certificate. */
  readonly credentials: readonly string[];
}

/** A mistake between the settings and the credential of a connection, at a path below `spec`. */
export interface ConnectionMistake {
  readonly path: readonly string[];
  readonly message: string;
}

/** Finds what the schema of the settings cannot say: parts of a connection that do not work together. */
export type ConnectionCheck = (connection: CheckedConnection) => ConnectionMistake[];

/** The mistake of a client certificate on a session without TLS. */
export function certificateWithoutTls({ settings, credentials }: CheckedConnection, remedy: string): ConnectionMistake[] {
  if (settings['tls'] !== 'none' || !credentials.includes('mtls')) return [];
  return [{ path: ['settings', 'tls'], message: `is none, and a client certificate needs TLS: set ${remedy}` }];
}

/** The mistake of a login without a user. */
export function certificateWithoutUser({ credentials }: CheckedConnection): ConnectionMistake[] {
  if (credentials.includes('basic')) return [];
  const message = 'is missing: the system asks for a user and a password beside the certificate: `and: { kind: basic, … }`';
  return [{ path: ['auth', 'and'], message }];
}
