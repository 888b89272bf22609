import { describe, expect, test } from 'vitest';
import { callKey, effectKey } from '#libs/contracts';
import { checkActing } from './acting.js';
import type { ActingEvidence, StoredWait } from './acting.js';
import { chaosTenant } from './documents.js';
import { idOf } from './history.js';
import type { DeskRequest, PartnerRequest, Ticket } from './history.js';

interface World {
  requests: PartnerRequest[];
  deskRequests: DeskRequest[];
  evidence: ActingEvidence;
}

/** An event of the first is acted on, one of the second sets a record. */
const [customer, recorded] = ['c-1', 'c-2'];
const sequences = [1, 2, 3];
const ticket = (sequence: number): Ticket => ({ customer, lane: 'high', sequence });
const request = (sequence: number): PartnerRequest => ({
  ...ticket(sequence),
  why: 'first',
  at: sequence,
  endedAt: sequence,
  outcome: 'ok',
  eventId: `evt_${sequence}`,
  response: '200',
});
const run = (sequence: number, flow = 'acting', generation = 0) => ({
  id: `run_${flow}_${sequence}_${generation}`,
  eventId: `evt_${sequence}`,
  flow,
  generation,
  state: 'completed',
});
const delivery = (sequence: number, step: string, more: object = {}) => ({
  id: `dlv_${step}_${sequence}`,
  eventId: `evt_${sequence}`,
  step,
  destination: step === 'set' ? 'records' : 'cases',
  generation: 0,
  state: 'delivered',
  ...more,
});
const desk = (sequence: number, what: DeskRequest['what'], step: string, key: string, more: Partial<DeskRequest> = {}): DeskRequest => ({
  ...ticket(sequence),
  at: 100 * sequence,
  what,
  key,
  step,
  eventId: `evt_${sequence}`,
  bodyHash: `${step} ${sequence}`,
  outcome: 'effect',
  ...more,
});
const keyOf = (sequence: number, step: string, flow = 'acting', generation = 0): string =>
  callKey({ tenant: chaosTenant, eventId: `evt_${sequence}`, flow, generation }, step);
const open = (sequence: number, more: Partial<DeskRequest> = {}): DeskRequest =>
  desk(sequence, 'case', 'open', keyOf(sequence, 'open'), more);
const note = (sequence: number, more: Partial<DeskRequest> = {}): DeskRequest =>
  desk(sequence, 'note', 'note', keyOf(sequence, 'note'), more);
const set = (sequence: number, more: Partial<DeskRequest> = {}): DeskRequest =>
  desk(sequence, 'record', 'set', 'c-2-high', { customer: recorded, eventId: `evt_r${sequence}`, ...more });
const acts = (sequence: number): DeskRequest[] => [
  open(sequence),
  note(sequence),
  desk(sequence, 'case', 'file', effectKey(`dlv_file_${sequence}`)),
];
const wait = (more: Partial<StoredWait> = {}): StoredWait => ({
  runId: run(3, 'following').id,
  reason: 'timedOut',
  arrived: null,
  dueAt: 9_000,
  finishedAt: 9_500,
  ...more,
});
const event = (sequence: number, receivedAt = 1_000 * sequence) => ({
  id: `evt_${sequence}`,
  ticket: idOf(ticket(sequence)),
  receivedAt,
  recordedAt: receivedAt + 10,
});

/** Three events whose flows did everything once; the third is followed up after a wait. */
function world(): World {
  return {
    requests: sequences.flatMap((sequence) => [request(sequence), { ...request(sequence), customer: recorded }]),
    deskRequests: [
      ...sequences.flatMap((sequence) => [...acts(sequence), set(sequence)]),
      desk(3, 'case', 'close', keyOf(3, 'close', 'following')),
      desk(3, 'case', 'tell', effectKey('dlv_tell_3')),
    ],
    evidence: {
      events: sequences.flatMap((sequence) => [
        event(sequence),
        { ...event(sequence), id: `evt_r${sequence}`, ticket: idOf({ ...ticket(sequence), customer: recorded }) },
      ]),
      runs: [
        ...sequences.flatMap((sequence) => [run(sequence), { ...run(sequence, 'recording'), eventId: `evt_r${sequence}` }]),
        run(3, 'following'),
      ],
      deliveries: [
        ...sequences.flatMap((sequence) => [delivery(sequence, 'set', { eventId: `evt_r${sequence}` }), delivery(sequence, 'file')]),
        delivery(3, 'tell'),
      ],
      waits: [wait()],
      attempts: new Map(),
    },
  };
}

const violations = ({ evidence, ...seen }: World): [string, string | undefined][] =>
  checkActing(seen, evidence).map(({ kind, ticket: of }) => [kind, of]);
const at = (more: DeskRequest[], without: (request: DeskRequest) => boolean = () => false): World => {
  const before = world();
  return { ...before, deskRequests: [...before.deskRequests.filter((one) => !without(one)), ...more] };
};
const with_ = (evidence: Partial<ActingEvidence>): World => ({ ...world(), evidence: { ...world().evidence, ...evidence } });

test('flows that did everything once are in order', () => {
  expect(violations(world())).toEqual([]);
});

describe('lost', () => {
  test.each(['open', 'note', 'file', 'close', 'tell'])('is an event whose step %s the desk never took', (step) => {
    const isStep = (one: DeskRequest): boolean => one.step === step && one.sequence === 3;
    expect(violations(at([], isStep))).toEqual([['lost', 'c-1/high/3']]);
  });

  test('is an event without a completed run of either flow', () => {
    const runs = world().evidence.runs.map((one) => (one.flow === 'following' ? { ...one, state: 'waiting' } : one));
    expect(violations(with_({ runs }))).toEqual([['lost', 'c-1/high/3']]);
  });

  test('is the newest state of a record that the desk does not have; an older one that was superseded is not', () => {
    const superseded = world().evidence.deliveries.map((one) =>
      one.step === 'set' && one.eventId === 'evt_r2' ? { ...one, state: 'superseded' } : one,
    );
    expect(
      violations({ ...at([], (one) => one.what === 'record' && one.sequence === 2), evidence: with_({ deliveries: superseded }).evidence }),
    ).toEqual([]);
    expect(violations(at([], (one) => one.what === 'record' && one.sequence === 3))).toEqual([['lost', 'c-2/high/3']]);
  });
});

describe('second call', () => {
  test('a repeat that the desk answers from its memory is none, nor is one that had no effect', () => {
    expect(violations(at([open(2, { outcome: 'remembered' }), note(2, { outcome: 'none' })]))).toEqual([]);
  });

  test('is a case under another key, which nobody has', () => {
    expect(violations(at([open(2, { key: 'another' })]))).toEqual([
      ['phantom', 'c-1/high/2'],
      ['second call', 'c-1/high/2'],
    ]);
  });

  test('is a second note with the same mark, and a second content under a key', () => {
    expect(violations(at([note(2)]))).toContainEqual(['second call', 'c-1/high/2']);
    expect(violations(at([open(2, { outcome: 'remembered', bodyHash: 'other' })]))).toEqual([['second call', 'c-1/high/2']]);
  });

  test('another generation of the run, which somebody asked for, may act again', () => {
    const replayed = with_({ runs: [...world().evidence.runs, run(2, 'acting', 1)] }).evidence;
    const again = [open(2, { key: keyOf(2, 'open', 'acting', 1) }), note(2, { key: keyOf(2, 'note', 'acting', 1) })];
    expect(violations({ ...at(again), evidence: replayed })).toEqual([]);
    expect(violations({ ...at([note(2)]), evidence: replayed })).toEqual([['second call', 'c-1/high/2']]);
  });
});

test('a record that is set to an older state is a stale write, also by a repeat; to the same state it is none', () => {
  expect(violations(at([set(3)]))).toEqual([]);
  expect(violations(at([set(2, { outcome: 'none' })]))).toEqual([]);
  expect(violations(at([set(2)]))).toContainEqual(['stale write', 'c-2/high/2']);
});

test('calls of a customer and lane come in order', () => {
  const before = world();
  const isFirst = (one: DeskRequest): boolean => one.step === 'open' && one.sequence === 1;
  const late = [...before.deskRequests.filter((one) => !isFirst(one)), open(1)];
  expect(violations({ ...before, deskRequests: late })).toContainEqual(['order', 'c-1/high/2']);
});

describe('a wait for the next event', () => {
  const ended = (more: Partial<StoredWait>, next?: ReturnType<typeof event>): [string, string | undefined][] => {
    const before = world();
    const events = next === undefined ? before.evidence.events : [...before.evidence.events, next];
    return violations({ ...before, evidence: { ...before.evidence, events, waits: [wait(more)] } });
  };
  const wrong = [['wait', 'c-1/high/3']];

  test('ends with the event that came in time', () => {
    expect(ended({ reason: 'event', arrived: 'evt_4' }, event(4, 8_000))).toEqual([]);
    expect(ended({ reason: 'event', arrived: 'evt_4' }, event(4, 9_001))).toEqual(wrong);
    expect(ended({ reason: 'event', arrived: 'evt_2' }, event(4, 8_000))).toEqual(wrong);
  });

  test('ends by its time if none came, or one that Postgres had too late', () => {
    expect(ended({ finishedAt: 8_999 })).toEqual(wrong);
    expect(ended({}, event(4, 9_001))).toEqual([]);
    expect(ended({}, { ...event(4, 8_000), recordedAt: 9_400 })).toEqual([]);
    expect(ended({ finishedAt: 12_000 }, event(4, 8_000))).toEqual(wrong);
  });
});
