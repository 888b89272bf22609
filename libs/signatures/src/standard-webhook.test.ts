import { Webhook } from 'standardwebhooks';
import { Webhook as SvixWebhook } from 'svix';
import { expect, test } from 'vitest';
import { SecretInvalid, SignatureMismatch } from './signature.errors.js';
import { signStandardWebhook, verifyStandardWebhook } from './standard-webhook.js';

const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';

test('the vector of the specification is signed as it says', () => {
  const message = { id: 'msg_p5jXN8AQM9LWM0D4loKWxJek', timestampSeconds: 1_614_265_330, body: '{"test": 2432232314}' };
  expect(signStandardWebhook(secret, message)).toEqual({
    'webhook-id': message.id,
    'webhook-timestamp': '1614265330',
    'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
  });
});

test('what we sign, the official libraries and we ourselves accept', () => {
  const body = '{"decision":"refund","note":"für 🎉"}';
  const nowMs = Date.now(); // the libraries read the clock themselves
  const headers = { ...signStandardWebhook(secret, { id: 'dlv_1', timestampSeconds: Math.floor(nowMs / 1_000), body }) };
  expect(new Webhook(secret).verify(body, headers)).toEqual(JSON.parse(body));
  expect(() => new SvixWebhook(secret).verify(body, headers)).not.toThrow();
  expect(() => new SvixWebhook(secret).verify(`${body} `, headers)).toThrow('No matching signature found');
  expect(() => verifyStandardWebhook(secret, headers, Buffer.from(body), nowMs)).not.toThrow();
  expect(() => verifyStandardWebhook(secret, headers, Buffer.from(`${body} `), nowMs)).toThrow(SignatureMismatch);
});

test('a secret that is not base64 is refused', () => {
  expect(() => signStandardWebhook('whsec_?', { id: 'a', timestampSeconds: 1, body: '' })).toThrow(SecretInvalid);
});
