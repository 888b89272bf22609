import { z } from 'zod';

export const clientCertificateScheme = z.strictObject({
  kind: z
    .literal('client-certificate')
    .describe(
      'The client certificate of the connection (mTLS), which the proxy that ends TLS puts into a header; it is believed of proxies in `TRUSTED_PROXIES` of ingestion only. Each secret of the source is PEM with the trusted root certificates and, if need be, intermediate ones.',
    ),
  header: z
    .string()
    .min(1)
    .default('client-cert')
    .describe(
      'The header with the certificate: base64 of its DER between colons (RFC 9440), or PEM, percent-encoded or not, as nginx, Envoy and AWS write it.',
    ),
  subjects: z
    .array(z.string().min(1).max(253))
    .min(1)
    .max(20)
    .describe(
      'The names, of which the certificate must be issued for one: DNS names of its subject alternative names, or its common name.',
    ),
});
