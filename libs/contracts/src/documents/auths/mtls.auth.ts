import { z } from 'zod';
import { secret } from '../secret.js';

const pemCertificates = z
  .string()
  .max(65_536)
  .regex(/-----BEGIN CERTIFICATE-----/, 'must be one certificate or more in PEM: -----BEGIN CERTIFICATE-----');

export const mtlsAuth = z.strictObject({
  kind: z.literal('mtls').describe('A client certificate (mutual TLS). The addresses of the system must begin with `https`.'),
  certificate: pemCertificates.describe('The client certificate in PEM, followed by the certificates between it and its root.'),
  key: secret.describe('The private key of the certificate in PEM, without a passphrase.'),
  ca: pemCertificates
    .optional()
    .describe('The certificates in PEM that the system’s own certificate is checked against. Default: those that Node.js trusts.'),
});
