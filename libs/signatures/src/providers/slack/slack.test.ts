import { expect, test } from 'vitest';
import type { Json } from '#libs/json';
import { createVerifier } from '../../create-verifier.js';
import { acceptedTampering, asReceived } from '../../tampering.js';
import { slack } from './slack.js';

/** The vector of Slack's documentation: a slash command. */
const secret = '8f742231b10e8888abcd99yyyzzz85a5';
const signedAtMs = 1_531_420_618_000;
const vector = {
  headers: {
    'X-Slack-Request-Timestamp': '1531420618',
    'X-Slack-Signature': 'v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503',
  },
  body: 'token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c',
};
const resolved = createVerifier(slack.scheme, [secret]);

test('the vector of Slack’s documentation verifies, for five minutes', () => {
  expect(() => resolved.verify(asReceived(vector), signedAtMs)).not.toThrow();
  expect(() => resolved.verify(asReceived(vector), signedAtMs + 301_000)).toThrow('signed 301 s ago');
});

test('with any byte flipped it is refused', () => {
  expect(acceptedTampering(resolved, vector, signedAtMs)).toEqual([]);
});

test('without its timestamp it is refused', () => {
  const { 'X-Slack-Signature': signature } = vector.headers;
  const request = asReceived({ ...vector, headers: { 'X-Slack-Signature': signature } });
  expect(() => resolved.verify(request, signedAtMs)).toThrow('The header x-slack-request-timestamp is missing');
});

test('a url_verification is answered with its challenge, and nothing else is a handshake', () => {
  const respond = (body: Json) =>
    slack.handshake!.respond({ method: 'POST', query: new URLSearchParams(), headers: {}, body, secrets: [secret] });
  expect(respond({ type: 'url_verification', challenge: '3eZbrw1aBm2rZgRNFdxV' })).toEqual({ status: 200, body: '3eZbrw1aBm2rZgRNFdxV' });
  expect(() => respond({ type: 'url_verification' })).toThrow('body: is a url_verification without what to reply');
  for (const body of [{ type: 'event_callback' }, [], null, 'url_verification']) expect(respond(body)).toBeUndefined();
});
