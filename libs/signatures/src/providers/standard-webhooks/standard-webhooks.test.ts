import { expect, test } from 'vitest';
import { createVerifier } from '../../create-verifier.js';
import { asReceived } from '../../tampering.js';
import { standardWebhooks } from './standard-webhooks.js';

/** The vector of the specification. */
const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
const nowMs = 1_614_265_330_000;
const id = 'msg_p5jXN8AQM9LWM0D4loKWxJek';
const body = '{"test": 2432232314}';
const v1 = 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=';
const v1a = 'v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg==';
const request = (signature: string) => ({
  headers: { 'webhook-id': id, 'webhook-timestamp': '1614265330', 'webhook-signature': signature },
  body,
});
const resolved = createVerifier(standardWebhooks.scheme, [secret], standardWebhooks);
const check = (signature: string) => () => resolved.verify(asReceived(request(signature)), nowMs);

test('one matching signature is enough, and versions we do not speak are passed over', () => {
  expect(check(`${v1a} ${v1}`)).not.toThrow();
  expect(check(`v2,abc ${v1a}`)).toThrow('has no entry v1');
});

test('a secret works with and without whsec_', () => {
  const bare = createVerifier(standardWebhooks.scheme, [secret.slice('whsec_'.length)], standardWebhooks);
  expect(() => bare.verify(asReceived(request(v1)), nowMs)).not.toThrow();
});
