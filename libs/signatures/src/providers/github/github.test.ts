import { expect, test } from 'vitest';
import { createVerifier } from '../../create-verifier.js';
import { asReceived } from '../../tampering.js';
import { github } from './github.js';

test('the older SHA-1 header alone is no signature', () => {
  const headers = { 'X-Hub-Signature': 'sha1=01dc10d0c83e72ed246219cdd91669667fe2ca59' };
  const verifier = createVerifier(github.scheme, ["It's a Secret to Everybody"]);
  expect(() => verifier.verify(asReceived({ headers, body: 'Hello, World!' }), 0)).toThrow('x-hub-signature-256 is missing');
});
