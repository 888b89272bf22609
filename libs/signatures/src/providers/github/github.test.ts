import { sign } from '@octokit/webhooks-methods';
import { expect, test } from 'vitest';
import { createVerifier } from '../../create-verifier.js';
import { acceptedTampering, asReceived } from '../../tampering.js';
import { github } from './github.js';

const secret = "It's a Secret to Everybody";
const resolved = createVerifier(github.scheme, [secret]);

test('the vector of GitHub’s documentation verifies', () => {
  const headers = { 'X-Hub-Signature-256': 'sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17' };
  expect(() => resolved.verify(asReceived({ headers, body: 'Hello, World!' }), 0)).not.toThrow();
});

test('what Octokit signs is accepted, and with any byte flipped refused', async () => {
  const body = '{"action":"opened","repository":{"owner":{"login":"octo"}}}';
  const request = { headers: { 'X-Hub-Signature-256': await sign(secret, body) }, body };
  expect(() => resolved.verify(asReceived(request), 0)).not.toThrow();
  expect(acceptedTampering(resolved, request, 0)).toEqual([]);
});

test('the older SHA-1 header alone is no signature', () => {
  const headers = { 'X-Hub-Signature': 'sha1=01dc10d0c83e72ed246219cdd91669667fe2ca59' };
  expect(() => resolved.verify(asReceived({ headers, body: 'Hello, World!' }), 0)).toThrow('x-hub-signature-256 is missing');
});
