import { createHmac } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { sourceHandshake } from '#libs/contracts';
import type { SourceHandshakeInput } from '#libs/contracts';
import { parseJson } from '#libs/json';
import type { Json } from '#libs/json';
import { respondTo } from './handshake.js';
import type { HandshakeRequest } from './handshake.js';

const respond = (handshake: SourceHandshakeInput, request: Partial<HandshakeRequest>) =>
  respondTo([sourceHandshake.parse(handshake)], {
    method: 'POST',
    isSigned: true,
    query: new URLSearchParams(),
    headers: {},
    body: null,
    parameters: { token: 'meatyhamhock' },
    key: Buffer.from('secret'),
    ...request,
  });

test('what is sent back may stand in the body, also within a list, in the query or in a header, and be text or a part of JSON', () => {
  const when = [{ header: 'AEG-Event-Type', equals: 'SubscriptionValidation' }];
  const headers = { 'aeg-event-type': 'SubscriptionValidation', 'x-challenge': 'c' };
  const body = parseJson('[{"data":{"validationCode":"512d38b6"}}]');
  const json = { validationResponse: { body: '0.data.validationCode' } };
  expect(respond({ method: 'POST', when, json }, { headers, body })).toEqual({ status: 200, body: { validationResponse: '512d38b6' } });
  expect(respond({ method: 'POST', when, text: { header: 'X-Challenge' } }, { headers })).toEqual({ status: 200, body: 'c' });
  const query = new URLSearchParams('challenge=abc');
  expect(respond({ method: 'GET', text: { query: 'challenge' } }, { method: 'GET', query })).toEqual({ status: 200, body: 'abc' });
});

test.each([
  ['hmac-sha256', 'hex', ''],
  ['hmac-sha512', 'base64', 'sha512='],
  ['hmac-sha1', 'hex', ''],
] as const)('a code may be the answer: %s in %s', (algorithm, encoding, prefix) => {
  const handshake: SourceHandshakeInput = {
    method: 'POST',
    when: [{ body: 'token' }],
    json: { proof: { body: 'token', hmac: { algorithm, encoding, prefix } } },
  };
  const proof = prefix + createHmac(algorithm.slice(5), 'secret').update('any text: it is verified').digest(encoding);
  expect(respond(handshake, { body: { token: 'any text: it is verified' } })).toEqual({ status: 200, body: { proof } });
});

describe('a handshake', () => {
  const byToken: SourceHandshakeInput = { method: 'GET', when: [{ query: 'verify', parameter: 'token' }], text: { query: 'challenge' } };
  const get = (text: string) => respond(byToken, { method: 'GET', query: new URLSearchParams(text) });

  test('is answered to whoever knows the token', () => {
    expect(get('verify=meatyhamhock&challenge=1')).toEqual({ status: 200, body: '1' });
  });

  test.each([
    ['verify=guess&challenge=1', 'the query parameter verify is not the value of spec.parameters.token of the source'],
    ['challenge=1', 'the query parameter verify is missing'],
    ['', 'the query parameter verify is missing; the query parameter challenge is missing'],
    ['verify=meatyhamhock&verify=meatyhamhock&challenge=1', 'the query parameter verify is there more than once'],
    ['verify=meatyhamhock', 'the query parameter challenge is missing'],
    ['verify=meatyhamhock&challenge=1&challenge=2', 'the query parameter challenge is there more than once'],
    [
      'verify=meatyhamhock&challenge=%3Cscript%3E',
      'the query parameter challenge is not sent back to anybody: it must be 1 to 1024 letters',
    ],
    [`verify=meatyhamhock&challenge=${'x'.repeat(1_025)}`, 'the query parameter challenge is not sent back to anybody'],
  ])('that is refused is told what is missing or wrong, and no value: %s', (text, reason) => {
    expect(() => get(text)).toThrow(`The request is not a handshake that this source answers: ${reason}`);
  });

  test('is compared with the declared one that it comes nearest to', () => {
    const declared = [
      { method: 'GET', when: [{ query: 'crc', equals: 'on' }, { query: 'mode' }], text: { query: 'crc' } },
      { method: 'GET', when: [{ header: 'X-Hook', equals: 'check' }], json: { proof: { query: 'nonce', hmac: {} } } },
      { method: 'HEAD', when: [{ query: 'never' }] },
    ].map((one) => sourceHandshake.parse(one));
    const ask = (method: string, text: string, headers = {}) =>
      respondTo(declared, {
        method,
        isSigned: true,
        query: new URLSearchParams(text),
        headers,
        body: null,
        parameters: {},
        key: undefined,
      });
    expect(() => ask('GET', 'nonce=1')).toThrow('answers: the header X-Hook is missing; the source has no secret to answer with');
    expect(() => ask('GET', 'crc=off&mode=1')).toThrow('answers: the query parameter crc has another value than the handshake');
    expect(() => ask('GET', 'nonce=1', { 'x-hook': 'check' })).toThrow('answers: the source has no secret to answer with');
    expect(() => ask('HEAD', 'crc=on')).toThrow('answers: the query parameter never is missing');
    expect(() => ask('OPTIONS', '')).toThrow('This source has no handshake by OPTIONS');
  });

  test('that is signed and lacks what is to be sent back is malformed', () => {
    const signed: SourceHandshakeInput = { method: 'POST', when: [{ body: 'type', equals: 'check' }], text: { body: 'challenge' } };
    expect(() => respond(signed, { body: { type: 'check' } })).toThrow(
      'body: is a check without what to reply: the field challenge of the body is missing',
    );
    expect(() => respond(signed, { body: { type: 'check', challenge: 7 } })).toThrow('the field challenge of the body is not a text');
  });

  test('fits by text, number, word and an empty list, and only exactly', () => {
    for (const [equals, other] of [
      ['1', 1],
      [1, '1'],
      [true, 'true'],
      [null, 0],
      [[], [1]],
    ] as [Json, Json][]) {
      const handshake: SourceHandshakeInput = { method: 'POST', when: [{ body: 'a.b', equals }], status: 204 };
      expect(respond(handshake, { body: { a: { b: equals } } })).toEqual({ status: 204, body: '' });
      expect(respond(handshake, { body: { a: { b: other } } })).toBeUndefined();
      expect(respond(handshake, { body: { a: 1 } })).toBeUndefined();
    }
  });

  test('that comes signed is no unsigned one, and the other way round', () => {
    const handshake: SourceHandshakeInput = { method: 'POST', signed: false, when: [{ body: 'ping' }] };
    expect(respond(handshake, { body: { ping: 1 } })).toBeUndefined();
    expect(respond(handshake, { body: { ping: 1 }, isSigned: false })).toEqual({ status: 200, body: '' });
  });
});
