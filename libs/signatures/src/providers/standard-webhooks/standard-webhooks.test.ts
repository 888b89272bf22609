import { Webhook } from 'standardwebhooks';
import { Webhook as SvixWebhook } from 'svix';
import { expect, test } from 'vitest';
import { createVerifier } from '../../create-verifier.js';
import { acceptedTampering, asReceived } from '../../tampering.js';
import { standardWebhooks } from './standard-webhooks.js';

/** The vector of the specification. */
const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
const nowMs = 1_614_265_330_000;
const id = 'msg_p5jXN8AQM9LWM0D4loKWxJek';
const body = '{"test": 2432232314}';
const v1 = 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=';
const v1a = 'v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg==';
const request = (signature: string, prefix = 'webhook') => ({
  headers: { [`${prefix}-id`]: id, [`${prefix}-timestamp`]: '1614265330', [`${prefix}-signature`]: signature },
  body,
});
const resolved = createVerifier(standardWebhooks.scheme, [secret], standardWebhooks);
const check = (signature: string, prefix?: string) => () => resolved.verify(asReceived(request(signature, prefix)), nowMs);

test('the vector of the specification verifies', () => {
  expect(check(v1)).not.toThrow();
});

test('one matching signature is enough, and versions we do not speak are passed over', () => {
  expect(check(`${v1a} ${v1}`)).not.toThrow();
  expect(check(`v2,abc ${v1a}`)).toThrow('has no entry v1');
});

test('what the official libraries sign is accepted, under either spelling, and with any byte flipped refused', () => {
  const official = new Webhook(secret).sign(id, new Date(nowMs), body);
  const svix = new SvixWebhook(secret).sign(id, new Date(nowMs), body);
  expect(check(official)).not.toThrow();
  expect(check(svix, 'svix')).not.toThrow();
  expect(acceptedTampering(resolved, request(official), nowMs)).toEqual([]);
});

test('a secret works with and without whsec_', () => {
  const bare = createVerifier(standardWebhooks.scheme, [secret.slice('whsec_'.length)], standardWebhooks);
  expect(() => bare.verify(asReceived(request(v1)), nowMs)).not.toThrow();
});
