import { X509Certificate } from 'node:crypto';
import { gauge } from './metrics.js';

const certificates = ['log-authority', 'log-client', 'database-authority', 'database-client'] as const;
const ends = gauge(
  'millrace_certificate_expiry_timestamp_seconds',
  'When a certificate ends that this process connects with, in Unix time, as of the last connection. Of several authorities in one file, the last to end.',
  { certificate: certificates },
);

const pemBlocks = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** Shows when a certificate ends. Call it whenever its file was read. A text without a certificate is left to whoever uses it to refuse. */
export function noteCertificate(certificate: (typeof certificates)[number], pem: string | Buffer): void {
  const found = (String(pem).match(pemBlocks) ?? []).map(endOf).filter((end) => end !== undefined);
  const [leaf] = found;
  if (leaf === undefined) return;
  ends.set({ certificate }, certificate.endsWith('-client') ? leaf : Math.max(...found));
}

function endOf(block: string): number | undefined {
  try {
    return Date.parse(new X509Certificate(block).validTo) / 1_000;
  } catch {
    return undefined;
  }
}
