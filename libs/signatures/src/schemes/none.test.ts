import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { document, signatureScheme } from '#libs/contracts';
import { createVerifier } from '../create-verifier.js';
import { SignatureMismatch } from '../signature.errors.js';
import { asReceived, refuseNoise } from '../tampering.js';

const scheme = signatureScheme.parse({ kind: 'none', addresses: ['192.0.2.0/24', '2001:db8::7'] });
const verifier = createVerifier(scheme, []);
const from = (clientAddress?: string) => () =>
  verifier.verify(
    {
      ...asReceived({ headers: { 'x-forwarded-for': '192.0.2.1' }, body: '{}' }),
      ...(clientAddress === undefined ? {} : { clientAddress }),
    },
    0,
  );

test('requests from the list are accepted, and no others, whatever they say in headers', () => {
  expect(from('192.0.2.255')).not.toThrow();
  expect(from('::ffff:192.0.2.1')).not.toThrow();
  expect(from('2001:db8::7')).not.toThrow();
  for (const address of ['192.0.3.1', '2001:db8::8', '', 'unknown', undefined]) expect(from(address)).toThrow(SignatureMismatch);
});

test('what is made up is refused', () => {
  refuseNoise(fc, verifier, { headers: { 'x-forwarded-for': '192.0.2.1' }, body: '' }, 0);
});

test('a source has either addresses or secrets', () => {
  const source = (custom: object, more: object) => ({
    apiVersion: 'millrace/v1',
    kind: 'Source',
    metadata: { tenant: 'acme', name: 'meter' },
    spec: { scheme: 'custom', custom, ...more },
  });
  const secrets = [{ value: 'x' }];
  expect(document.safeParse(source({ kind: 'none', addresses: ['192.0.2.0/24'] }, {})).success).toBe(true);
  expect(document.safeParse(source({ kind: 'none', addresses: ['192.0.2.0/24'] }, { secrets })).error?.message).toContain(
    'none has no secrets',
  );
  expect(document.safeParse(source({ header: 'x-sig' }, {})).error?.message).toContain('must have at least one secret');
  expect(document.safeParse(source({ kind: 'none', addresses: ['192.0.2.300'] }, {})).error?.message).toContain(
    'must be an IP address or a range',
  );
  expect(document.safeParse(source({ kind: 'none', addresses: [] }, {})).success).toBe(false);
});
