import { Client } from 'pg';
import { callKey, effectKey } from '#libs/contracts';
import { acknowledged, distinct, outOfSequence, repeated } from './checker.js';
import type { PromiseViolation } from './checker.js';
import { chaosTenant, infer } from './documents.js';
import { listEntries } from './pulling.js';
import { idOf, isActedOn, isFollowedUp, isRecorded } from './history.js';
import type { DeskRequest, History, Ticket } from './history.js';

/**
 * The flows that read from and act in the desk. `acting` runs on each event of some customers, and `following` on some of these, after a wait. `recording` only sets
 * records, on the events of other customers: their events do not wait while the desk is away, so that several deliveries of one record do.
 */
const acting = 'acting';
const recording = 'recording';
const following = 'following';
/** Destinations of the kind `operation`: of the class `key`, and of the class `upsert`. */
const cases = 'cases';
const records = 'records';

/** A run of one of these flows, as Postgres has it. */
export interface ActingRun {
  readonly id: string;
  readonly eventId: string;
  readonly flow: string;
  readonly generation: number;
  readonly state: string;
}

export interface ActingDelivery {
  readonly id: string;
  readonly eventId: string;
  readonly step: string;
  readonly destination: string;
  readonly generation: number;
  readonly state: string;
}

/** An event that these flows run on. Times are wall times in ms. */
export interface ActingEvent {
  readonly id: string;
  readonly ticket: string;
  readonly receivedAt: number;
  readonly recordedAt: number;
}

/** How a run of `following` stopped waiting for the next event of its customer and lane. */
export interface StoredWait {
  readonly runId: string;
  readonly reason: string;
  /** The event that ended it; null if its time was over. */
  readonly arrived: string | null;
  readonly dueAt: number;
  readonly finishedAt: number;
}

export interface ActingEvidence {
  readonly events: readonly ActingEvent[];
  readonly runs: readonly ActingRun[];
  readonly deliveries: readonly ActingDelivery[];
  readonly waits: readonly StoredWait[];
  /** Attempts of operations by outcome; `unknown`: its process ended, or lost its claim. */
  readonly attempts: ReadonlyMap<string, number>;
}

/** The input of an operation. It names the step, so that the record of the desk can be compared with the runs. */
const bodyOf = (step: string, more = ''): string =>
  `{ "customer": event.customer, "lane": event.data.data.lane, "sequence": event.data.data.sequence, "eventId": event.id, "step": "${step}"${more} }`;

/** The connector, the connection to the desk, the destinations and the flows. */
export function actingDocuments(deskUrl: string): object[] {
  const of = (kind: string, name: string, spec: object): object => ({
    apiVersion: 'millrace/v1',
    kind,
    metadata: { tenant: chaosTenant, name },
    spec,
  });
  const destination = (name: string, more: object): object =>
    of('Destination', name, {
      kind: 'operation',
      connection: 'desk',
      timeoutMs: 2_000,
      retry: { delaysMs },
      limit: { concurrency: 64 },
      ...more,
    });
  return [
    of('Connector', 'desk', connector),
    of('Connection', 'desk', { connector: 'desk', settings: { base: deskUrl }, auth: { kind: 'none' }, timeoutMs: 2_000 }),
    destination(cases, { operation: 'openCase' }),
    destination(records, { operation: 'setRecord', supersede: 'payload.record', retry: { delaysMs: [8_000, ...delaysMs] } }),
    of('Flow', acting, {
      on: { sources: ['partner'], when: 'event.data.data.act' },
      steps: [
        {
          id: 'profile',
          enrich: { connection: 'desk', operation: 'readProfile', input: '{ "customer": event.customer }', cache: { ttlMs: 2_000 } },
        },
        { id: 'assess', infer },
        { id: 'open', call: { connection: 'desk', operation: 'openCase', input: bodyOf('open') } },
        // Beside `open`, so that a fault of the desk strikes both.
        { id: 'note', needs: ['assess'], call: { connection: 'desk', operation: 'postNote', input: bodyOf('note') } },
        { id: 'file', needs: ['open'], deliver: { destination: cases, payload: bodyOf('file', ', "case": steps.open.case') } },
      ],
      decision: 'steps.open',
    }),
    of('Flow', recording, {
      on: { sources: ['partner'], when: 'event.data.data.record' },
      steps: [
        { id: 'set', deliver: { destination: records, payload: bodyOf('set', ', "record": event.customer & "-" & event.data.data.lane') } },
      ],
    }),
    of('Flow', following, {
      on: { sources: ['partner'], when: 'event.data.data.followUp' },
      steps: [
        {
          id: 'next',
          wait: {
            event: {
              types: ['ticket.*'],
              match: 'arrived.data.data.lane = event.data.data.lane and arrived.data.data.sequence = event.data.data.sequence + 1',
              timeout: 'PT6S',
            },
          },
        },
        { id: 'calm', wait: { for: 500 } },
        { id: 'close', call: { connection: 'desk', operation: 'openCase', input: bodyOf('close') } },
        { id: 'tell', deliver: { destination: cases, payload: bodyOf('tell', ', "case": steps.close.case') } },
      ],
      decision: 'steps.next',
    }),
  ];
}

/** Half a minute in total, longer than any fault of the desk. A record first waits for longer, so that newer ones are set meanwhile. */
const delaysMs = [200, 500, ...Array.from({ length: 30 }, () => 1_000)];

const connector = {
  summary: 'A desk with cases, notes and records.',
  base: '{settings.base}',
  hosts: ['*'],
  settings: { type: 'object', required: ['base'], properties: { base: { type: 'string' } } },
  auth: [{ kind: 'none' }],
  operations: {
    listEntries,
    readProfile: {
      summary: 'Read the profile of a customer.',
      effect: 'read',
      input: { type: 'object', required: ['customer'] },
      request: { method: 'GET', path: '/profiles/{input.customer}' },
    },
    openCase: {
      summary: 'Open a case.',
      effect: 'write',
      idempotency: { class: 'key' },
      input: { type: 'object', required: ['step'] },
      output: { type: 'object', required: ['case'] },
      request: { method: 'POST', path: '/cases', headers: { 'idempotency-key': '{delivery.id}' }, body: 'input' },
    },
    setRecord: {
      summary: 'Set a record.',
      effect: 'write',
      idempotency: { class: 'upsert' },
      input: { type: 'object', required: ['record'] },
      request: { method: 'PUT', path: '/records/{input.record}', body: 'input' },
    },
    postNote: {
      summary: 'Add a note.',
      effect: 'write',
      idempotency: { class: 'verify', operation: 'findNote', settleMs: 0, otherwise: 'park' },
      input: { type: 'object', required: ['step'] },
      request: { method: 'POST', path: '/notes', headers: { 'x-mark': '{delivery.id}' }, body: 'input' },
    },
    findNote: {
      summary: 'Look for a note.',
      effect: 'read',
      input: {},
      request: { method: 'GET', path: '/notes/{delivery.id}' },
      result: 'response.body.note',
    },
  },
};

export async function readActing(databaseUrl: string): Promise<ActingEvidence> {
  const client = new Client({ connectionString: databaseUrl });
  await client.connect();
  const all = async <Row>(sql: string): Promise<Row[]> =>
    (await client.query(sql, [chaosTenant, [acting, recording, following]])).rows as Row[];
  const ms = (value: string): string => `(extract(epoch FROM ${value}) * 1000)::float8`;
  try {
    const attempts = await all<{ outcome: string; count: number }>(
      `SELECT coalesce(outcome, 'unknown') AS outcome, count(*)::float8 AS count FROM operation_attempt WHERE tenant_id = $1 AND cardinality($2::text[]) > 0 GROUP BY 1 ORDER BY 1`,
    );
    return {
      events: await all(
        `SELECT id, provider_event_id AS ticket, ${ms('received_at')} AS "receivedAt", ${ms('recorded_at')} AS "recordedAt" FROM event
         WHERE tenant_id = $1 AND source = 'partner' AND cardinality($2::text[]) > 0`,
      ),
      runs: await all(`SELECT id, event_id AS "eventId", flow, generation, state FROM run WHERE tenant_id = $1 AND flow = ANY($2)`),
      deliveries: await all(
        `SELECT id, event_id AS "eventId", step, destination, generation, state FROM delivery WHERE tenant_id = $1 AND flow = ANY($2)`,
      ),
      waits: await all(
        `SELECT ended.run_id AS "runId", ended.output ->> 'reason' AS reason, ended.output -> 'event' ->> 'id' AS arrived,
           ${ms(`(due.output ->> 'dueAt')::timestamptz`)} AS "dueAt", ${ms('ended.finished_at')} AS "finishedAt"
         FROM step_result AS ended JOIN step_result AS due ON due.tenant_id = ended.tenant_id AND due.run_id = ended.run_id AND due.step = 'next:due'
         WHERE ended.tenant_id = $1 AND ended.step = 'next' AND ended.state = 'succeeded' AND cardinality($2::text[]) > 0`,
      ),
      attempts: new Map(attempts.map(({ outcome, count }) => [outcome, count])),
    };
  } finally {
    await client.end();
  }
}

/** The checks of what flows did at the desk: nothing is missing, nothing happened twice, and the newest state of each record stays. */
export function checkActing(observed: Pick<History, 'requests' | 'deskRequests'>, evidence: ActingEvidence): PromiseViolation[] {
  return [
    ...lostAtTheDesk(observed, evidence),
    ...unknownAtTheDesk(observed.deskRequests, evidence),
    ...secondCalls(observed.deskRequests, evidence),
    ...disorderOfCalls(observed.deskRequests),
    ...staleWrites(observed.deskRequests),
    ...wrongWaits(evidence),
  ];
}

/** The steps of a flow that act, and where they deliver to; null: they call. */
const actsOf: Readonly<Record<string, readonly (readonly [step: string, destination: string | null])[]>> = {
  [acting]: [
    ['open', null],
    ['note', null],
    ['file', cases],
  ],
  [recording]: [['set', records]],
  [following]: [
    ['close', null],
    ['tell', cases],
  ],
};

/** For every acknowledged event each of these flows is completed, and each of its steps has taken effect. The newest record of each stream stands. */
function lostAtTheDesk(
  { requests, deskRequests }: Pick<History, 'requests' | 'deskRequests'>,
  evidence: ActingEvidence,
): PromiseViolation[] {
  const eventOf = new Map(evidence.events.map((event) => [event.ticket, event.id]));
  const completed = new Set(evidence.runs.filter(({ state }) => state === 'completed').map(({ eventId, flow }) => `${eventId} ${flow}`));
  const isEnded = ({ state, destination }: ActingDelivery): boolean =>
    state === 'delivered' || (destination === records && (state === 'superseded' || state === 'skipped'));
  const ended = new Set(evidence.deliveries.filter(isEnded).map(({ eventId, step }) => `${eventId} ${step}`));
  const effects = deskRequests.filter(isEffect);
  const acted = new Set(effects.map((request) => `${idOf(request)} ${request.step}`));
  const lastOf = new Map(effects.filter(({ what }) => what === 'record').map((request) => [streamOf(request), request.sequence]));
  const newest = new Map<string, Ticket>();
  const tickets = [...acknowledged(requests).values()].filter((ticket) => flowsOn(ticket).length > 0);
  for (const ticket of tickets.filter(isRecorded)) {
    const stream = streamOf(ticket);
    if ((newest.get(stream)?.sequence ?? 0) < ticket.sequence) newest.set(stream, ticket);
  }
  const reasonOf = (ticket: Ticket): string | undefined => {
    const eventId = eventOf.get(idOf(ticket));
    if (eventId === undefined) return 'it is acknowledged and not in Postgres';
    for (const flow of flowsOn(ticket)) {
      if (!completed.has(`${eventId} ${flow}`)) return `no run of ${flow} is completed`;
      for (const [step, destination] of actsOf[flow]!) {
        if (destination !== null && !ended.has(`${eventId} ${step}`)) return `its delivery to ${destination} by ${step} is not delivered`;
        if (destination !== records && !acted.has(`${idOf(ticket)} ${step}`)) return `the desk never took ${step}`;
      }
    }
    return undefined;
  };
  return [
    ...tickets.flatMap((ticket): PromiseViolation[] => {
      const what = reasonOf(ticket);
      return what === undefined ? [] : [{ kind: 'lost', ticket: idOf(ticket), what }];
    }),
    ...[...newest].flatMap(([stream, ticket]): PromiseViolation[] => {
      const stands = lastOf.get(stream);
      if (stands === ticket.sequence) return [];
      return [{ kind: 'lost', ticket: idOf(ticket), what: `its record is the newest, and the desk has that of ${stands ?? 'no event'}` }];
    }),
  ];
}

/** Nothing is opened or noted under a key that no run and no delivery has. */
function unknownAtTheDesk(deskRequests: readonly DeskRequest[], evidence: ActingEvidence): PromiseViolation[] {
  const known = new Set([
    ...evidence.runs.flatMap((run) => actsOf[run.flow]!.map(([step]) => callKey({ tenant: chaosTenant, ...run }, step))),
    ...evidence.deliveries.map(({ id }) => effectKey(id)),
  ]);
  return distinct(
    deskRequests.filter(({ what, key }) => what !== 'record' && !known.has(key)),
    ({ key }) => key,
  ).map((request) => ({
    kind: 'phantom',
    ticket: idOf(request),
    what: `the desk got a ${request.what} under ${request.key}, which is no key of ours`,
  }));
}

/**
 * A step takes effect once in each generation of its run, and a key has one content. A repeat that the desk answers from its memory is no effect; a note has no
 * memory, so a second one is an effect under whatever mark.
 */
function secondCalls(deskRequests: readonly DeskRequest[], evidence: ActingEvidence): PromiseViolation[] {
  const generations = new Map<string, number>();
  const ticketOf = new Map(evidence.events.map(({ id, ticket }) => [id, ticket]));
  for (const { eventId, flow } of evidence.runs) {
    const run = `${ticketOf.get(eventId)} ${flow}`;
    generations.set(run, (generations.get(run) ?? 0) + 1);
  }
  const flowOf = new Map(Object.entries(actsOf).flatMap(([flow, steps]) => steps.map(([step]) => [step, flow] as const)));
  const acts = deskRequests.filter(({ what }) => what !== 'record');
  const effects = Map.groupBy(acts.filter(isEffect), (request) => `${idOf(request)} ${request.step}`);
  return [
    ...[...effects.values()].flatMap((ofStep): PromiseViolation[] => {
      const [first] = ofStep;
      const most = generations.get(`${idOf(first!)} ${flowOf.get(first!.step)}`) ?? 0;
      if (ofStep.length <= most) return [];
      return [{ kind: 'second call', ticket: idOf(first!), what: `${first!.step} took effect ${ofStep.length} times in ${most} runs` }];
    }),
    ...repeated(
      acts.filter(({ what, outcome }) => what === 'note' && outcome === 'effect'),
      ({ key }) => key,
    ).map((request): PromiseViolation => ({
      kind: 'second call',
      ticket: idOf(request),
      what: `there are two notes with the mark ${request.key}`,
    })),
    ...repeated(
      distinct(acts, ({ key, bodyHash }) => `${key} ${bodyHash}`),
      ({ key }) => key,
    ).map((request): PromiseViolation => ({ kind: 'second call', ticket: idOf(request), what: `two contents came under ${request.key}` })),
  ];
}

/** The calls of a customer and lane come in the order in which the events were sent. `following` is left out: what waits is overtaken. */
function disorderOfCalls(deskRequests: readonly DeskRequest[]): PromiseViolation[] {
  const taken = deskRequests.filter(isEffect);
  return ['open', 'note'].flatMap((step) =>
    outOfSequence(
      taken.filter((request) => request.step === step),
      `took effect by ${step}`,
    ),
  );
}

/** A record never goes back to an older state. */
function staleWrites(deskRequests: readonly DeskRequest[]): PromiseViolation[] {
  const newest = new Map<string, number>();
  return deskRequests
    .filter(({ what, outcome }) => what === 'record' && outcome === 'effect')
    .flatMap((request): PromiseViolation[] => {
      const before = newest.get(request.key) ?? 0;
      newest.set(request.key, Math.max(before, request.sequence));
      if (request.sequence >= before) return [];
      return [{ kind: 'stale write', ticket: idOf(request), what: `its record was set after that of ${before}` }];
    });
}

/** From the statement that records an event until it is sure to be seen by others. */
const visibleAfterMs = 2_000;

/** Who waits for the next event goes on with it if it came in time, and else because its time was over. */
function wrongWaits({ events, runs, waits }: ActingEvidence): PromiseViolation[] {
  const byId = new Map(events.map((event) => [event.id, event]));
  const byTicket = new Map(events.map((event) => [event.ticket, event]));
  const runById = new Map(runs.map((run) => [run.id, run]));
  return waits.flatMap(({ runId, reason, arrived, dueAt, finishedAt }): PromiseViolation[] => {
    const own = byId.get(runById.get(runId)?.eventId ?? '');
    if (own === undefined) return [{ kind: 'wait', ticket: undefined, what: `${runId} waited for an event and is no run of one` }];
    const [, stream, sequence] = /^(.*\/)(\d+)$/.exec(own.ticket)!;
    const next = byTicket.get(`${stream}${Number(sequence) + 1}`);
    const came = next !== undefined && next.receivedAt <= dueAt;
    const violation = (what: string): PromiseViolation[] => [{ kind: 'wait', ticket: own.ticket, what }];
    if (reason === 'event')
      return came && arrived === next.id ? [] : violation(`it went on with ${arrived}, which is not the next event in time`);
    if (reason !== 'timedOut') return violation(`its wait ended as ${reason}`);
    if (finishedAt < dueAt) return violation('its wait timed out before its time');
    return came && next.recordedAt + visibleAfterMs < finishedAt ? violation('it timed out although the next event had come in time') : [];
  });
}

function flowsOn(ticket: Ticket): string[] {
  return [...(isActedOn(ticket) ? [acting] : []), ...(isRecorded(ticket) ? [recording] : []), ...(isFollowedUp(ticket) ? [following] : [])];
}

function isEffect({ outcome }: DeskRequest): boolean {
  return outcome === 'effect';
}

function streamOf({ customer, lane }: Ticket): string {
  return `${customer}/${lane}`;
}
