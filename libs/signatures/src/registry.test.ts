import { readFileSync } from 'node:fs';
import { clearText, document, presets } from '#libs/contracts';
import type { SignatureSchemeOf, SourceDocument } from '#libs/contracts';
import { compileExpression } from '#libs/expressions';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import type { Extraction } from './preset.js';
import { providers } from './providers.generated.js';
import { presetOf } from './registry.js';
import { createVerifier } from './create-verifier.js';

type Fact = 'eventId' | 'type' | 'customer' | 'occurredAt';

/** The value of the first expression that yields text or a number. */
async function read(preset: Extraction, fact: Fact, input: { body?: unknown; headers?: Record<string, string> }): Promise<unknown> {
  for (const text of preset[fact]) {
    const found = await compileExpression(text).evaluate({ body: {}, headers: {}, ...input });
    if (typeof found === 'string' || typeof found === 'number') return found;
  }
  return undefined;
}

test('every preset that a document can name has its provider, and no other', () => {
  expect(Object.keys(providers).toSorted()).toEqual([...presets].toSorted());
});

test.each(Object.entries(providers))('every expression of %s compiles', (_, preset) => {
  const { eventId, type, typeDetail = [], customer, occurredAt } = preset;
  const texts = [eventId, type, typeDetail, customer, occurredAt].flat();
  expect(() => texts.map((text) => compileExpression(text))).not.toThrow();
});

describe('whose event it is, where the document does not say', () => {
  test.each([
    ['stripe', 'the customer’s id', { body: { data: { object: { customer: 'cus_1' } }, account: 'acct_1' } }, 'cus_1'],
    ['stripe', 'the expanded customer', { body: { data: { object: { customer: { id: 'cus_1' } } } } }, 'cus_1'],
    ['stripe', 'the customer itself', { body: { data: { object: { object: 'customer', id: 'cus_1' } } } }, 'cus_1'],
    ['stripe', 'else the account', { body: { data: { object: { id: 'po_1' } }, account: 'acct_1' } }, 'acct_1'],
    ['stripe', 'else nobody', { body: { data: { object: { id: 'po_1' } } } }, undefined],
    ['github', 'the repository’s owner', { body: { repository: { owner: { login: 'octo' } }, sender: { login: 'cat' } } }, 'octo'],
    ['github', 'else the organization', { body: { organization: { login: 'org' }, sender: { login: 'cat' } } }, 'org'],
    ['shopify', 'the shopper', { body: { id: 1, customer: { id: 7 } }, headers: { 'x-shopify-topic': 'orders/paid' } }, 7],
    ['shopify', 'the shopper’s own record', { body: { id: 7 }, headers: { 'x-shopify-topic': 'customers/update' } }, 7],
    ['shopify', 'the same without x-', { body: { id: 7 }, headers: { 'shopify-topic': 'customers/update' } }, 7],
    [
      'shopify',
      'else the shop',
      { body: { id: 1 }, headers: { 'x-shopify-topic': 'products/update', 'x-shopify-shop-domain': 'a.myshopify.com' } },
      'a.myshopify.com',
    ],
    ['slack', 'the workspace', { body: { team_id: 'T1' } }, 'T1'],
    ['standard-webhooks', 'data.customer', { body: { data: { customer: 'c-1' } } }, 'c-1'],
  ] as const)('%s: %s', async (name, _, input, customer) => {
    expect(await read(providers[name], 'customer', input)).toBe(customer);
  });
});

test('a custom scheme takes the signed id as the event’s, and the type from the body', async () => {
  const preset = presetOf({
    scheme: 'custom',
    custom: { ...(providers['standard-webhooks'].scheme as SignatureSchemeOf<'hmac'>), idHeader: 'X-Acme-Id' },
    secrets: [{ value: 'x' }],
    lane: { default: 'normal', rules: [] },
  })!;
  const input = { headers: { 'x-acme-id': 'm-1' }, body: { type: 'order.paid' } };
  expect(await read(preset, 'eventId', input)).toBe('m-1');
  expect(await read(preset, 'type', input)).toBe('order.paid');
});

test('a source with API keys has no signature to verify', () => {
  expect(presetOf({ scheme: 'api-key', lane: { default: 'normal', rules: [] } })).toBeUndefined();
});

test.each(Object.entries(providers))('docs/providers.md says of %s what the code does', (name, preset) => {
  const page = readFileSync(new URL('../../../docs/providers.md', import.meta.url), 'utf8');
  const row = page.split('\n').find((line) => line.startsWith(`| \`${name}\` |`)) ?? '';
  const { scheme, aliases, eventId, type, typeDetail = [], customer, occurredAt } = preset;
  const signed = 'template' in scheme ? scheme : undefined;
  const isTimed =
    ('timestampField' in scheme && scheme.timestampField !== undefined) ||
    signed?.timestampHeader !== undefined ||
    signed?.list?.timestamp !== undefined;
  const headers = 'header' in scheme && scheme.header !== undefined ? [scheme.header, aliases[scheme.header] ?? []] : [];
  const fields = 'signed' in scheme ? [...scheme.signed, scheme.signature] : [];
  const said = [...headers, ...fields, signed?.template ?? [], eventId, type, typeDetail, customer, occurredAt].flat();
  const missing = said.filter((text) => !row.includes(text) && !row.includes(`${text.split('-')[0]}-…`));
  expect(missing).toEqual([]);
  expect(row).toContain(isTimed ? `| ${'toleranceSeconds' in scheme ? scheme.toleranceSeconds : 0} s |` : '| not timed |');
  expect(page).toContain(`scheme: ${name}\n`);
});

test('every document in docs/providers.md can be applied', () => {
  const page = readFileSync(new URL('../../../docs/providers.md', import.meta.url), 'utf8');
  const examples = [...page.matchAll(/```yaml\n(.*?)```/gs)].map(([, text]) => document.parse(parse(text!)));
  expect(examples).toHaveLength(Object.keys(providers).length + 7);
  for (const { spec } of examples as SourceDocument[]) {
    const scheme = presetOf(spec)?.scheme;
    const publicUrl = spec.scheme === 'api-key' || spec.publicUrl === undefined ? undefined : clearText(spec.publicUrl);
    const given = spec.scheme === 'api-key' ? {} : (spec.parameters ?? {});
    const parameters = Object.fromEntries(Object.entries(given).map(([name, value]) => [name, clearText(value)]));
    const secrets = spec.scheme === 'api-key' ? [] : spec.secrets.map((secret) => ('value' in secret ? secret.value : ''));
    expect(() => scheme && createVerifier(scheme, secrets, { publicUrl, parameters })).not.toThrow();
  }
});
