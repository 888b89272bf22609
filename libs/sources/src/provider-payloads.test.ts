import { expect, test } from 'vitest';
import type { SourceSpec } from '#libs/contracts';
import type { Json } from '#libs/json';
import { resolveSource } from './source.js';

const secrets = [{ value: 'whsec_5WbX5kEWLlfzsGNjH64I8lOOqUB6e8FH' }];
const lane = { default: 'normal' as const, rules: [] };

/** Payloads in the form of the providers' documentation, of kinds whose customer stands in an unusual place. */
const payloads: [string, SourceSpec['scheme'], Json, object][] = [
  [
    'a shortcut of an app installed for a whole Slack organization',
    'slack',
    {
      type: 'shortcut',
      action_ts: '1581106241.371594',
      team: null,
      enterprise: { id: 'E1', name: 'Acme' },
      is_enterprise_install: true,
      callback_id: 'shortcut_create_task',
      trigger_id: '944799105734.773906753841.38b5894552bdd4a780554ee59d1f3638',
    },
    { customer: 'E1', type: 'shortcut', occurredAt: '2020-02-07T20:10:41.371Z' },
  ],
  [
    'a slash command of a workspace',
    'slack',
    { command: '/weather', team_id: 'T1', enterprise_id: 'E1', trigger_id: '13345224609.738474920.80' },
    { customer: 'T1', type: '/weather' },
  ],
  [
    'a thin event of Stripe about a customer',
    'stripe',
    {
      id: 'evt_test_1',
      object: 'v2.core.event',
      type: 'v1.customer.updated',
      created: '2024-09-17T06:20:52.246Z',
      related_object: { id: 'cus_1', type: 'customer', url: '/v1/customers/cus_1' },
      context: 'acct_1',
    },
    { eventId: 'evt_test_1', customer: 'cus_1', type: 'v1.customer.updated', occurredAt: '2024-09-17T06:20:52.246Z' },
  ],
  [
    'a thin event of Stripe about an account',
    'stripe',
    { id: 'evt_2', type: 'v2.core.account.updated', related_object: { id: 'acct_2', type: 'v2.core.account' }, context: null },
    { customer: 'acct_2' },
  ],
  [
    'a thin event of Stripe about anything else, in the context of an account',
    'stripe',
    { id: 'evt_3', type: 'v1.billing.meter.no_meter_found', related_object: { id: 'mtr_1', type: 'billing.meter' }, context: 'acct_3' },
    { customer: 'acct_3' },
  ],
];

test.each(payloads)('%s has the fields that its provider gave it', async (_, scheme, body, expected) => {
  const { fields } = resolveSource('acme', 's', { scheme, secrets, lane } as SourceSpec);
  expect(await fields.read({ body, headers: {} })).toMatchObject(expected);
});
