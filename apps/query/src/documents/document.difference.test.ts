import type { Document } from '#libs/contracts';
import { expect, test } from 'vitest';
import { differencesOf } from './document.difference.js';

const destination = (spec: object): Document =>
  ({ apiVersion: 'millrace/v1', kind: 'Destination', metadata: { tenant: 'acme', name: 'crm' }, spec }) as Document;
const sealed = (fingerprint: string, text = 'v1.x') => ({ sealed: text, fingerprint });

test('a changed, a new and a missing field are named by their paths', () => {
  const before = destination({ url: 'http://a', headers: { x: '1' }, secret: sealed('f1') });
  const after = destination({ url: 'http://b', headers: {}, secret: sealed('f1'), timeoutMs: 5 });
  expect(differencesOf(before, after)).toEqual([
    { path: 'spec.url', before: 'http://a', after: 'http://b' },
    { path: 'spec.headers.x', before: '1', after: null },
    { path: 'spec.timeoutMs', before: null, after: 5 },
  ]);
});

test('secrets are compared and shown by fingerprint: encrypting one again is no difference', () => {
  const before = destination({ secret: sealed('f1', 'v1.one') });
  expect(differencesOf(before, destination({ secret: sealed('f1', 'v1.two') }))).toEqual([]);
  expect(differencesOf(before, destination({ secret: sealed('f2') }))).toEqual([{ path: 'spec.secret', before: 'f1', after: 'f2' }]);
});

test('a list is compared item by item', () => {
  const flow = (...ids: string[]): Document =>
    ({ kind: 'Flow', metadata: { tenant: 'a', name: 'f' }, spec: { steps: ids.map((id) => ({ id })) } }) as never;
  expect(differencesOf(flow('a', 'b'), flow('a', 'c', 'd'))).toEqual([
    { path: 'spec.steps.1.id', before: 'b', after: 'c' },
    { path: 'spec.steps.2', before: null, after: { id: 'd' } },
  ]);
});
