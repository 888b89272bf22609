import { describe, expect, test } from 'vitest';
import { deliveryId, effectKey, eventId, newRunId } from './identifiers.js';

test('the same provider id at the same source of the same tenant is the same event', () => {
  const id = eventId('acme', 'stripe', { providerEventId: 'evt_1' });
  expect(id).toMatch(/^evt_[0-9a-hjkmnp-tv-z]{32}$/);
  expect(eventId('acme', 'stripe', { providerEventId: 'evt_1' })).toBe(id);
});

test('another tenant, source or kind of identity is another event', () => {
  const ids = [
    eventId('acme', 'stripe', { providerEventId: 'x' }),
    eventId('acme', 'github', { providerEventId: 'x' }),
    eventId('beta', 'stripe', { providerEventId: 'x' }),
    eventId('acme', 'stripe', { body: Buffer.from('x') }),
  ];
  expect(new Set(ids).size).toBe(4);
});

test('moving a character between neighbouring parts changes the id', () => {
  const runId = newRunId();
  const of = (tenant: string, event: string) => deliveryId({ tenant, runId, eventId: event, flow: 'd', generation: 0 }, 'e', 'f');
  expect(of('a', 'bc')).not.toBe(of('ab', 'c'));
});

test('an id is the same in every version of Millrace: what was received before an upgrade is known after it', () => {
  expect(eventId('bench', 'github', { providerEventId: 'x' })).toBe('evt_5ezrsw5m37a1eeftfwg5f0eq2rt0hb76');
  expect(eventId('acme', 'github', { body: Buffer.from('{"text":"é🎉"}') })).toBe('evt_3bjwa35zwn70x58r15r04v65fh56t5m3');
});

describe('the ids of what follows from an event', () => {
  const run = { tenant: 'acme', eventId: 'evt_1', flow: 'triage', generation: 0 };
  const times = [0, 31, 32, 1_795_888_800_000, 1_795_888_800_001, Date.parse('2999-12-31T23:59:59.999Z')];

  test('are in the order of their times, byte by byte', () => {
    const runs = times.map((time) => newRunId(time));
    expect(runs.toSorted()).toEqual(runs);
    const deliveries = runs.map((runId) => deliveryId({ ...run, runId }, 'tell', 'crm'));
    expect(deliveries.toSorted()).toEqual(deliveries);
    expect(deliveries.map((id) => id.slice(4, 13))).toEqual(runs.map((id) => id.slice(4, 13)));
  });

  test('have one length each, by which they are told from older ones', () => {
    for (const time of times) {
      expect(newRunId(time)).toMatch(/^run_[0-9a-hjkmnp-tv-z]{25}$/);
      expect(deliveryId({ ...run, runId: newRunId(time) }, 'tell', 'crm')).toMatch(/^dlv_[0-9a-hjkmnp-tv-z]{36}$/);
    }
  });

  test('the effect key of a delivery is the same in every run of its event, flow and generation: one whose rows are lost is handled in another', () => {
    const keys = [times[3], times[4]].map((time) => effectKey(deliveryId({ ...run, runId: newRunId(time) }, 'tell', 'crm')));
    expect(keys[0]).toMatch(/^dlv_[0-9a-hjkmnp-tv-z]{27}$/);
    expect(keys[1]).toBe(keys[0]);
    expect(effectKey(deliveryId({ ...run, runId: newRunId() }, 'tell', 'erp'))).not.toBe(keys[0]);
  });

  test('a delivery that an earlier release planned keeps its id as its effect key', () => {
    const ids = ['dlv_am6j6pxa1q1x6qshz1vdqn1ybcysas8t', 'dlv_1m7q6n1zham6j6pxa1q1x6qshz1vdqn1ybc'];
    expect(ids.map(({ length }) => length - 4)).toEqual([32, 35]);
    expect(ids.map(effectKey)).toEqual(ids);
  });

  test('are another one for each planning of a run, and the same one for each planning of its delivery', () => {
    const runId = newRunId(times[3]);
    expect(newRunId(times[3])).not.toBe(runId);
    const id = deliveryId({ ...run, runId }, 'tell', 'crm');
    expect(deliveryId({ ...run, runId }, 'tell', 'crm')).toBe(id);
    const others = [
      deliveryId({ ...run, runId, tenant: 'beta' }, 'tell', 'crm'),
      deliveryId({ ...run, runId, eventId: 'evt_2' }, 'tell', 'crm'),
      deliveryId({ ...run, runId, flow: 'bill' }, 'tell', 'crm'),
      deliveryId({ ...run, runId, generation: 1 }, 'tell', 'crm'),
      deliveryId({ ...run, runId }, 'ask', 'crm'),
      deliveryId({ ...run, runId }, 'tell', 'erp'),
    ];
    expect(new Set([id, ...others]).size).toBe(7);
  });

  test('a run that was stored without a time has the delivery it always had', () => {
    const runId = 'run_5ezrsw5m37a1eeftfwg5f0eq2rt0hb76';
    expect(deliveryId({ ...run, runId }, 'tell', 'crm')).toBe('dlv_am6j6pxa1q1x6qshz1vdqn1ybcysas8t');
  });
});
