import { expect, test } from 'vitest';
import { document } from './document.js';

const problemsOf = (handshake: object, more: object = {}) => {
  const spec = { scheme: 'custom', custom: { header: 'x-sig' }, secrets: [{ value: 'a-secret' }], handshakes: [handshake], ...more };
  const { success, error } = document.safeParse({
    apiVersion: 'millrace/v1',
    kind: 'Source',
    metadata: { tenant: 'acme', name: 'shop' },
    spec,
  });
  return success ? [] : error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
};

test.each([
  ['an echo', { method: 'GET', text: { query: 'challenge' } }, {}],
  ['a probe', { method: 'HEAD' }, {}],
  [
    'a token',
    { method: 'GET', when: [{ query: 't', parameter: 'token' }], text: { query: 'c' } },
    { parameters: { token: { value: 'x' } } },
  ],
  ['a code for anybody', { method: 'GET', json: { token: { query: 'crc_token', hmac: {} } } }, {}],
])('%s can be declared', (_what, handshake, more) => {
  expect(problemsOf(handshake, more)).toEqual([]);
});

const asymmetric = { custom: { kind: 'asymmetric', algorithm: 'ed25519', key: 'hex', header: 'x-sig' }, secrets: [{ value: 'd75a' }] };

test.each([
  ['of no place', { method: 'GET', text: {} }, {}, 'handshakes.0.text: must name one of query, header, body and value'],
  ['of two places', { method: 'GET', text: { query: 'a', header: 'b' } }, {}, 'handshakes.0.text: must name one of'],
  [
    'of a condition on nothing',
    { method: 'GET', when: [{ equals: 1 }] },
    {},
    'handshakes.0.when.0: must name one of query, header and body',
  ],
  [
    'of a condition with two meanings',
    { method: 'GET', when: [{ query: 'a', equals: 'b', parameter: 'token' }] },
    { parameters: { token: 'x' } },
    'handshakes.0.when.0: must have equals or parameter, and not both',
  ],
  ['of a parameter that is none', { method: 'GET', when: [{ query: 'a', parameter: 'token' }] }, {}, 'add parameters.token with the value'],
  ['of the body of a GET', { method: 'GET', text: { body: 'a' } }, {}, 'handshakes.0.text.body: a GET has no body; name a query parameter'],
  ['of a signed GET', { method: 'GET', signed: false }, {}, 'handshakes.0.signed: must be left out: a GET is never signed'],
  ['of every POST', { method: 'POST', json: {} }, {}, 'handshakes.0.when: must have a condition'],
  ['of two answers', { method: 'GET', text: { query: 'a' }, json: {} }, {}, 'handshakes.0.json: must be left out where there is text'],
  [
    'of an answer to HEAD',
    { method: 'HEAD', text: { query: 'a' } },
    {},
    'handshakes.0.text: must be left out: a response to HEAD has no body',
  ],
  ['of an answer with 204', { method: 'GET', status: 204, json: { a: { value: 1 } } }, {}, 'handshakes.0.json.a: must be left out'],
  ['of a code over a constant', { method: 'GET', text: { value: 'a', hmac: {} } }, {}, 'has an hmac, which needs query, header or body'],
  ['of a code by a public key', { method: 'GET', text: { query: 'a', hmac: {} } }, asymmetric, 'needs a shared secret'],
  [
    'of a code that would pass for a signature',
    { method: 'GET', text: { query: 'a', hmac: {} } },
    { custom: { header: 'x-sig', template: '{url}{form}' }, publicUrl: 'https://hooks.example.com/shop' },
    'handshakes.0: would sign for anybody',
  ],
])('a mistake is named with its place: %s', (_what, handshake, more, problem) => {
  expect(problemsOf(handshake, more).join('; ')).toContain(problem);
});
