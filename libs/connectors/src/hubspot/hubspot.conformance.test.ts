import { connectorConformance, pauseMs } from '../connector.conformance.js';
import { startHubSpotStandIn } from './hubspot.stand-in.js';
import type { HubSpotStandIn } from './hubspot.stand-in.js';

const failed = (category: string, more: object = {}) => ({ status: 'error', category, message: 'no', ...more });
const pause = { 'retry-after': String(pauseMs / 1_000) };
const contact = (id: string) => ({ type: 'contacts', idProperty: 'millrace_id', id, properties: { firstname: 'Ada' } });
const fill = ({ objects }: HubSpotStandIn, count: number): void =>
  void objects.set(
    'deals',
    Array.from({ length: count }, (_, at) => ({ id: String(at), properties: {} })),
  );

connectorConformance({
  name: 'hubspot',
  start: startHubSpotStandIn,
  settings: ({ url }) => ({ base: url }),
  writes: [
    { operation: 'upsertObject', input: contact('a/b?'), effects: ({ objects }) => objects.get('contacts')?.length ?? 0 },
    {
      operation: 'upsertObjects',
      input: { type: 'contacts', inputs: [{ idProperty: 'email', id: 'a@example.com', properties: {} }] },
      effects: ({ objects }) => objects.get('contacts')?.length ?? 0,
    },
    {
      operation: 'associate',
      input: { fromType: 'deals', fromId: '1', toType: 'contacts', toId: '2' },
      effects: ({ associations }) => associations.size,
    },
  ],
  answers: [
    { as: 'permanent', status: 400, body: failed('VALIDATION_ERROR') },
    { as: 'permanent', status: 207, body: { status: 'COMPLETE', numErrors: 1, errors: [failed('VALIDATION_ERROR')] } },
    { as: 'limited', status: 429, headers: pause, body: failed('RATE_LIMITS', { policyName: 'TEN_SECONDLY_ROLLING' }) },
    { as: 'limited', status: 429, body: failed('RATE_LIMITS', { policyName: 'DAILY' }) },
    { as: 'credential', status: 403, body: failed('MISSING_SCOPES') },
    { as: 'credential', status: 401, body: failed('INVALID_AUTHENTICATION') },
    { as: 'conflict', status: 409, body: failed('CONFLICT', { message: 'Contact already exists. Existing ID: 5' }) },
    { as: 'transient', status: 423, body: failed('LOCKED') },
    { as: 'uncertain', status: 502, body: {} },
  ],
  others: [{ status: 404, body: failed('OBJECT_NOT_FOUND') }],
  lists: [
    { operation: 'listObjects', input: { type: 'deals' }, count: 250, prepare: (standIn) => fill(standIn, 250) },
    { operation: 'searchObjects', input: { type: 'deals' }, count: 10_000, prepare: (standIn) => fill(standIn, 10_001) },
  ],
  hostile: [
    {
      operation: 'upsertObject',
      input: (id) => contact(id),
      seen: ({ body }) => (body as { inputs: [{ id: string }] }).inputs[0].id,
    },
    { operation: 'getObject', input: (id) => ({ type: 'contacts', id }), seen: ({ segments }) => segments[4] },
    { operation: 'getObject', input: (type) => ({ type, id: '1' }), seen: ({ segments }) => segments[3] },
  ],
});
