import { expect, test } from 'vitest';
import { EventReceived, ReplayEvent } from '#libs/contracts';
import { headerText, mayBePassedIfUnknown, recordHeaders } from './record-headers.js';

const event: EventReceived = {
  eventId: 'evt_1',
  tenant: 'acme',
  source: 'billing',
  customer: 'c1',
  lane: 'normal',
  type: 'invoice.paid',
  providerEventId: null,
  occurredAt: '2026-11-21T08:00:00Z',
  receivedAt: '2026-11-21T08:00:01Z',
  contentType: 'application/json',
  body: '{}',
};

test('a received event carries CloudEvents headers, its tenant, its schema and the trace', () => {
  expect(recordHeaders(EventReceived, event, { traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01' })).toEqual({
    ce_specversion: '1.0',
    ce_id: 'evt_1',
    ce_source: 'acme.billing',
    ce_type: 'invoice.paid',
    ce_time: '2026-11-21T08:00:00Z',
    'content-type': 'application/json',
    mr_tenant: 'acme',
    mr_schema: 'event.received.v1',
    traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
  });
});

test('other records carry tenant and schema only', () => {
  const command: ReplayEvent = {
    tenant: 'acme',
    customer: 'c1',
    commandId: 'cmd_1',
    actor: 'operator',
    at: event.receivedAt,
    eventId: 'evt_1',
    flow: null,
  };
  expect(recordHeaders(ReplayEvent, command, { traceparent: undefined })).toEqual({ mr_tenant: 'acme', mr_schema: 'replay-event.v1' });
});

test('a record that may be missed says so to consumers that do not know its type, and no other does', () => {
  const headersOf = (ifUnknown: 'hold' | 'pass') => recordHeaders({ ...EventReceived, ifUnknown }, event, { traceparent: undefined });
  expect([mayBePassedIfUnknown(headersOf('pass')), mayBePassedIfUnknown(headersOf('hold')), mayBePassedIfUnknown(undefined)]).toEqual([
    true,
    false,
    false,
  ]);
  expect(headersOf('hold')).toEqual(recordHeaders(EventReceived, event, { traceparent: undefined }));
  expect(mayBePassedIfUnknown({ mr_if_unknown: 'some other day' })).toBe(false);
});

test('a header reads the same whether the client gives bytes, text or several', () => {
  const headers = { a: Buffer.from('1'), b: '2', c: [Buffer.from('3'), '4'] };
  expect(['a', 'b', 'c', 'd'].map((name) => headerText(headers, name))).toEqual(['1', '2', '3', undefined]);
});
