import { readFileSync } from 'node:fs';
import { noteCertificate } from '#libs/tracing';

/** Files in PEM. They are read for each connection, so a renewed certificate counts from the next one on. */
export interface TlsFiles {
  /** The authorities that the server's certificate comes from; undefined: those that Node trusts. */
  readonly caFile?: string | undefined;
  /** The certificate of this process, where the server asks for one. */
  readonly certificateFile?: string | undefined;
  readonly keyFile?: string | undefined;
}

/**
 * The options of `node:tls` for one connection. The metric of certificates shows when they end.
 * @throws Error if a file cannot be read
 */
export function readTlsFiles(files: TlsFiles, peer: 'log' | 'database'): { ca?: Buffer; cert?: Buffer; key?: Buffer } {
  const [ca, cert, key] = [files.caFile, files.certificateFile, files.keyFile].map((file) =>
    file === undefined ? file : readFileSync(file),
  );
  if (ca !== undefined) noteCertificate(`${peer}-authority`, ca);
  if (cert !== undefined) noteCertificate(`${peer}-client`, cert);
  return { ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) };
}
