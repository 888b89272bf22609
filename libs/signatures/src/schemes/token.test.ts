import { signatureScheme } from '#libs/contracts';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { createVerifier } from '../create-verifier.js';
import { SignatureMalformed, SignatureMismatch, SignatureMissing } from '../signature.errors.js';
import { refuseNoise, acceptedTampering, asReceived } from '../tampering.js';
import type { PlainRequest } from '../tampering.js';

const token = 'a-long-and-random-token';
const inHeader = createVerifier(signatureScheme.parse({ kind: 'token', header: 'X-Gitlab-Token' }), ['the next token', token]);
const bearer = createVerifier(signatureScheme.parse({ kind: 'token', header: 'authorization', prefix: 'Bearer ' }), [token]);
const inQuery = createVerifier(signatureScheme.parse({ kind: 'token', query: 'token' }), [token]);
const check = (verifier: typeof inHeader, request: Partial<PlainRequest>) => () =>
  verifier.verify(asReceived({ headers: {}, body: 'x', ...request }), 0);

test('an active token is accepted, in a header or in the query', () => {
  expect(check(inHeader, { headers: { 'x-gitlab-token': token } })).not.toThrow();
  expect(check(inHeader, { headers: { 'X-Gitlab-Token': 'the next token' } })).not.toThrow();
  expect(check(bearer, { headers: { Authorization: `Bearer ${token}` } })).not.toThrow();
  expect(check(inQuery, { target: `/webhooks/acme.shop?a=1&token=${token}` })).not.toThrow();
});

test('any other is refused: altered, cut, lengthened, of another length', () => {
  const request = { headers: { 'x-gitlab-token': token }, body: '' };
  expect(acceptedTampering(inHeader, request, 0)).toEqual([]);
  for (const wrong of [token.slice(1), `${token}x`, `${token},${token}`, 'x']) {
    expect(check(inHeader, { headers: { 'x-gitlab-token': wrong } })).toThrow(SignatureMismatch);
    expect(check(inQuery, { target: `/?token=${wrong}` })).toThrow(SignatureMismatch);
  }
});

test('without a token, with two of them or without its prefix a request is refused', () => {
  expect(check(inHeader, {})).toThrow(SignatureMissing);
  expect(check(inHeader, { headers: { 'x-gitlab-token': '' } })).toThrow(SignatureMissing);
  expect(check(inQuery, { target: '/?token=' })).toThrow('The query parameter token is missing');
  expect(check(inQuery, { target: `/?token=${token}&token=${token}` })).toThrow(SignatureMalformed);
  expect(check(inHeader, { headers: { 'x-gitlab-token': token, 'X-Gitlab-Token': token } })).toThrow(SignatureMalformed);
  expect(check(bearer, { headers: { authorization: token } })).toThrow(SignatureMalformed);
});

test('no made-up token is accepted, and none fails in another way', () => {
  refuseNoise(fc, inHeader, { headers: { 'x-gitlab-token': token }, body: '' }, 0);
  refuseNoise(fc, inQuery, { headers: {}, target: `/?token=${token}`, body: '' }, 0);
});

test('a refusal tells nothing of the token', () => {
  expect(check(inHeader, { headers: { 'x-gitlab-token': 'guess' } })).not.toThrow(new RegExp(`${token}|guess`));
});

test('a document names a header or a query parameter, not both and not none', () => {
  const paths = (scheme: object) => signatureScheme.safeParse({ kind: 'token', ...scheme }).error?.issues.map(({ message }) => message);
  expect(paths({})).toEqual(['set header or query, and only one of them']);
  expect(paths({ header: 'x', query: 'y' })).toEqual(['set header or query, and only one of them']);
});
