import { describe, expect, test } from 'vitest';
import { check, errorsAtTheDoor } from './checker.js';
import type { Evidence } from './evidence.js';
import { idOf } from './history.js';
import type { SinkRequest, OffsetSample, PartnerRequest, Ticket } from './history.js';

interface World {
  requests: PartnerRequest[];
  arrivals: SinkRequest[];
  offsets: OffsetSample[];
  evidence: Evidence;
}

const strict = 'ledger';

const ticket = (sequence: number): Ticket => ({ customer: 'c', lane: 'high', sequence });
const request = (sequence: number, outcome: PartnerRequest['outcome'] = 'ok'): PartnerRequest => ({
  ...ticket(sequence),
  why: 'first',
  at: sequence,
  endedAt: sequence,
  outcome,
  eventId: `evt_${sequence}`,
  response: '200',
});
const arrival = (sequence: number, more: Partial<SinkRequest> = {}): SinkRequest => ({
  ...ticket(sequence),
  at: 10 + sequence,
  destination: strict,
  webhookId: `dlv_${sequence}`,
  eventId: `evt_${sequence}`,
  bodyHash: `body ${sequence}`,
  status: 204,
  ...more,
});
const event = (sequence: number) => ({ id: `evt_${sequence}`, ticket: idOf(ticket(sequence)), recordedAt: 10 });
const run = (sequence: number, more: object = {}) => ({
  id: `run_${sequence}`,
  eventId: `evt_${sequence}`,
  flow: 'f',
  generation: 0,
  state: 'completed',
  decision: {},
  finishedAt: 10 * sequence,
  ...more,
});
const delivery = (sequence: number, more: object = {}) => ({
  id: `dlv_${sequence}`,
  eventId: `evt_${sequence}`,
  flow: 'f',
  destination: strict,
  generation: 0,
  state: 'delivered',
  createdAt: 10 * sequence,
  ...more,
});
const logged = (sequence: number, more: object = {}) => ({
  topic: 'events.high',
  partition: 0,
  offset: sequence,
  key: 't/c',
  eventId: `evt_${sequence}`,
  customer: 'c',
  lane: 'high',
  ticket: idOf(ticket(sequence)),
  ...more,
});
const completion = (sequence: number, more: object = {}) => ({
  topic: 'outcomes',
  partition: 0,
  offset: sequence,
  key: 't/c',
  runId: `run_${sequence}`,
  decision: '{}',
  ...more,
});

/** Three events that went all the way, as they should. */
function world(): World {
  const all = [1, 2, 3];
  return {
    requests: all.map((sequence) => request(sequence)),
    arrivals: all.map((sequence) => arrival(sequence)),
    offsets: [],
    evidence: {
      events: all.map(event),
      runs: all.map((sequence) => run(sequence)),
      deliveries: all.map((sequence) => delivery(sequence)),
      deadLetters: [],
      modelAnswers: { total: 3, repeatedAfterCrash: 0, repeatedWithout: 0 },
      log: {
        events: all.map((sequence) => logged(sequence)),
        pulled: [],
        completions: all.map((sequence) => completion(sequence)),
        records: 6,
      },
    },
  };
}

const violations = ({ evidence, ...seen }: World): [string, string | undefined][] =>
  check(seen, evidence).map(({ kind, ticket: of }) => [kind, of]);
const with_ = (evidence: Partial<Evidence>, seen: Partial<World> = {}): World => {
  const before = world();
  return { ...before, ...seen, evidence: { ...before.evidence, ...evidence } };
};
const without = <T>(items: readonly T[], index: number): T[] => items.filter((_, at) => at !== index);

test('a run in which everything went all the way has no violation', () => {
  expect(violations(world())).toEqual([]);
});

test('the same request once more at the sink is none: its webhook-id says that it is the same', () => {
  expect(violations({ ...world(), arrivals: [...world().arrivals, arrival(2, { at: 99 })] })).toEqual([]);
});

test('what was never acknowledged may be there or not', () => {
  const maybe = { ...world(), requests: [request(1), request(2), request(3, 'info')] };
  expect(violations(maybe)).toEqual([]);
  const { arrivals, evidence } = maybe;
  const absent: Partial<Evidence> = {
    events: without(evidence.events, 2),
    runs: without(evidence.runs, 2),
    deliveries: without(evidence.deliveries, 2),
    log: { ...evidence.log, events: without(evidence.log.events, 2), completions: without(evidence.log.completions, 2) },
  };
  expect(violations(with_(absent, { requests: maybe.requests, arrivals: without(arrivals, 2) }))).toEqual([]);
});

test.each([
  ['the log', with_({ log: { ...world().evidence.log, events: without(world().evidence.log.events, 2) } })],
  ['Postgres', with_({ events: without(world().evidence.events, 2) })],
  ['the completed runs', with_({ runs: [run(1), run(2), run(3, { state: 'failed' })] })],
  ['the deliveries', with_({ deliveries: [delivery(1), delivery(2), delivery(3, { state: 'parked' })] })],
  ['what the sink took', with_({}, { arrivals: [arrival(1), arrival(2), arrival(3, { status: 500 })] })],
])('an acknowledged event that is missing in %s is lost', (_, seen) => {
  expect(violations(seen)).toContainEqual(['lost', 'c/high/3']);
});

test('a run of a later generation that completed stands in for the first', () => {
  const runs = [run(1), run(2), run(3, { state: 'failed' }), run(3, { id: 'run_3b', generation: 1 })];
  expect(violations(with_({ runs }))).toEqual([]);
});

test('what nobody sent is a phantom, and so is a request that is no delivery of ours', () => {
  expect(violations({ ...world(), requests: [request(1), request(2), request(3, 'fail')] })).toEqual([
    ['phantom', 'c/high/3'],
    ['phantom', 'c/high/3'],
  ]);
  expect(violations(with_({}, { arrivals: [...world().arrivals, arrival(3, { webhookId: 'dlv_x' })] }))).toContainEqual([
    'phantom',
    'c/high/3',
  ]);
});

test.each([
  ['two events of one ticket', with_({ events: [...world().evidence.events, { ...event(2), id: 'evt_2b' }] })],
  ['two completed runs of one generation', with_({ runs: [...world().evidence.runs, run(2, { id: 'run_2b' })] })],
  [
    'two decisions of one run',
    with_({
      log: { ...world().evidence.log, completions: [...world().evidence.log.completions, completion(2, { decision: '{"other":1}' })] },
    }),
  ],
  ['two deliveries of one decision', with_({ deliveries: [...world().evidence.deliveries, delivery(2, { id: 'dlv_2b' })] })],
  ['two payloads of one delivery', with_({}, { arrivals: [...world().arrivals, arrival(2, { bodyHash: 'another' })] })],
])('%s are a second effect', (_, seen) => {
  expect(violations(seen)).toContainEqual(['second effect', 'c/high/2']);
});

test('the decisions of two generations are two effects that somebody asked for', () => {
  const seen = with_(
    {
      runs: [...world().evidence.runs, run(2, { id: 'run_2b', generation: 1 })],
      deliveries: [...world().evidence.deliveries, delivery(2, { id: 'dlv_2b', generation: 1 })],
    },
    { arrivals: [...world().arrivals, arrival(2, { webhookId: 'dlv_2b' })] },
  );
  expect(violations(seen)).toEqual([]);
});

test('who arrives at the strict destination before the one ahead of it is out of order, and so is who is taken before it', () => {
  expect(violations({ ...world(), arrivals: [arrival(1), arrival(3), arrival(2)] })).toContainEqual(['order', 'c/high/3']);
  const overtaken = [arrival(1), arrival(2, { status: 500 }), arrival(3), arrival(2)];
  expect(violations({ ...world(), arrivals: overtaken })).toContainEqual(['order', 'c/high/3']);
});

describe('at a destination that takes each request anew', () => {
  const of = { customer: 'c-5' };
  const notice = (more: Partial<SinkRequest> = {}) => arrival(1, { ...of, destination: 'notices', webhookId: 'dlv_1n', ...more });
  const seen = (state: string, notices: readonly SinkRequest[]): World => {
    const before = world();
    const id = idOf({ ...ticket(1), ...of });
    return {
      ...before,
      requests: [{ ...request(1), ...of }],
      arrivals: [...notices, arrival(1, of)],
      evidence: {
        ...before.evidence,
        events: [{ ...event(1), ticket: id }],
        runs: [run(1)],
        deliveries: [delivery(1), delivery(1, { id: 'dlv_1n', destination: 'notices', state })],
        log: { ...before.evidence.log, events: [logged(1, { ...of, ticket: id })], completions: [completion(1)] },
      },
    };
  };
  const kinds = (one: World): string[] => violations(one).map(([kind]) => kind);

  test('one delivery is taken once, delivered or skipped because it was taken', () => {
    expect(kinds(seen('delivered', [notice()]))).toEqual([]);
    expect(kinds(seen('skipped', [notice({ status: null }), notice()]))).toEqual([]);
  });

  test('a repeat that is taken is a second effect', () => {
    expect(kinds(seen('delivered', [notice(), notice()]))).toEqual(['keyless repeat']);
  });

  test('what it never took is lost, also if it was skipped', () => {
    expect(kinds(seen('skipped', [notice({ status: null })]))).toEqual(['lost']);
  });
});

test('elsewhere order may give way', () => {
  const copies = [3, 2, 1].map((sequence) => arrival(sequence, { destination: 'copies', webhookId: `dlv_${sequence}c` }));
  const deliveries = [
    ...world().evidence.deliveries,
    ...[1, 2, 3].map((sequence) => delivery(sequence, { id: `dlv_${sequence}c`, destination: 'copies' })),
  ];
  expect(violations(with_({ deliveries }, { arrivals: [...world().arrivals, ...copies] }))).toEqual([]);
});

test('a customer’s events in two partitions, or in another order than they were sent, are out of order; repeats are not', () => {
  const onLog = (events: ReturnType<typeof logged>[]): World => with_({ log: { ...world().evidence.log, events } });
  expect(violations(onLog([logged(1), logged(2), logged(3), logged(2, { offset: 9 })]))).toEqual([]);
  expect(violations(onLog([logged(1), logged(2), logged(3, { partition: 7 })]))).toEqual([['order', 'c/high/3']]);
  expect(violations(onLog([logged(1), logged(3, { offset: 2 }), logged(2, { offset: 3 })]))).toEqual([['order', 'c/high/3']]);
});

const sample = (at: number, offset: number, more: Partial<OffsetSample> = {}): OffsetSample => ({
  at,
  group: 'flows',
  topic: 'events.high',
  offsets: new Map([[0, offset]]),
  ...more,
});

test('a committed offset that goes back is a violation', () => {
  expect(violations({ ...world(), offsets: [sample(1_000, 3), sample(2_000, 2)] })).toEqual([['offset', undefined]]);
});

test('an offset that was committed before its run was finished, or its deliveries were planned, is a violation', () => {
  const runs = [run(1), run(2, { finishedAt: 5_000 }), run(3)];
  expect(violations(with_({ runs }, { offsets: [sample(1_000, 2), sample(6_000, 4)] }))).toEqual([]);
  expect(violations(with_({ runs }, { offsets: [sample(1_000, 3)] }))).toEqual([['offset', 'c/high/2']]);
  const deliveries = [delivery(1), delivery(2, { createdAt: 5_000 }), delivery(3)];
  const ofDeliveries = sample(1_000, 3, { group: 'deliveries', topic: 'outcomes' });
  expect(violations(with_({ deliveries }, { offsets: [ofDeliveries] }))).toEqual([['offset', 'run_2']]);
});

test('a request that no door answered with 200 is a violation where the doors were only replaced', () => {
  const [first] = world().requests;
  const refused = { ...first!, outcome: 'fail' as const, response: 'ECONNREFUSED' };
  expect(errorsAtTheDoor(world().requests)).toEqual([]);
  expect(errorsAtTheDoor([...world().requests, refused])).toEqual([
    { kind: 'door', ticket: 'c/high/1', what: 'a door answered ECONNREFUSED' },
  ]);
});

test('a process that ended by itself is a violation, whatever came of the events', () => {
  const { evidence, ...seen } = world();
  const what = 'connectors-2 ended by itself (1)';
  expect(check(seen, evidence, [what])).toEqual([{ kind: 'died', ticket: undefined, what }]);
});
