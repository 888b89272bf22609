import { keylessDestination, otherDestination, strictDestination } from './documents.js';
import type { Evidence } from './evidence.js';
import { hasNotice, idOf, namesOf } from './history.js';
import type { SinkRequest, History, OffsetSample, PartnerRequest, Ticket } from './history.js';

export const violationKinds = [
  'lost',
  'phantom',
  'second effect',
  'keyless repeat',
  'second call',
  'stale write',
  'order',
  'wait',
  'review',
  'decision',
  'trial',
  'offset',
  'died',
  'door',
  'cache',
] as const;
export type ViolationKind = (typeof violationKinds)[number];

/** A broken promise, with the id of the ticket whose history shows it. */
export interface PromiseViolation {
  readonly kind: ViolationKind;
  readonly ticket: string | undefined;
  readonly what: string;
}

/** The observations that the checks use. */
type Observed = Pick<History, 'requests' | 'arrivals' | 'offsets'>;

/**
 * Judges a run by what was observed from outside and what was read afterwards. Modelled on Jepsen's queue workload: each event has a unique sequence
 * number in its stream, so each promise is checked by a linear scan.
 * @param surprises unexpected ends of processes; no fault of this harness is a reason for a process to end
 */
export function check(observed: Observed, evidence: Evidence, surprises: readonly string[] = []): PromiseViolation[] {
  return [
    ...lost(observed, evidence),
    ...phantoms(observed, evidence),
    ...secondEffects(observed.arrivals, evidence),
    ...keylessRepeats(observed.arrivals),
    ...disorderOnTheLog(evidence),
    ...disorderAtTheSink(observed.arrivals),
    ...offsetsBackwards(observed.offsets),
    ...offsetsBeyondTheUnfinished(observed.offsets, evidence),
    ...surprises.map((what) => ({ kind: 'died' as const, ticket: undefined, what })),
  ];
}

/** Requests that no door answered with 200, where nothing but a change of doors could be the reason. */
export function errorsAtTheDoor(requests: readonly PartnerRequest[]): PromiseViolation[] {
  return requests
    .filter(({ outcome }) => outcome !== 'ok')
    .map((request) => ({ kind: 'door', ticket: idOf(request), what: `a door answered ${request.response}` }));
}

/** The destinations that must receive the event of a ticket. */
export function destinationsOf(ticket: Ticket): string[] {
  return [strictDestination, ...(ticket.sequence % 5 === 0 ? [otherDestination] : []), ...(hasNotice(ticket) ? [keylessDestination] : [])];
}

/** Every acknowledged event is on the log and in Postgres, its last run is completed, its deliveries are delivered, and the sink has taken them. */
function lost({ requests, arrivals }: Observed, evidence: Evidence): PromiseViolation[] {
  const onLog = new Set(evidence.log.events.map(({ ticket }) => ticket));
  const eventOf = new Map(evidence.events.map((event) => [event.ticket, event.id]));
  const completed = new Set(evidence.runs.filter(({ state }) => state === 'completed').map(({ eventId }) => eventId));
  // The operator skips what the keyless destination took without our knowing it.
  const isEnded = ({ state, destination }: Evidence['deliveries'][number]): boolean =>
    state === 'delivered' || (state === 'skipped' && destination === keylessDestination);
  const delivered = new Set(evidence.deliveries.filter(isEnded).map(({ eventId, destination }) => `${eventId} ${destination}`));
  const taken = new Set(arrivals.filter(isTaken).map((arrival) => `${idOf(arrival)} ${arrival.destination}`));
  const reasonOf = (ticket: Ticket): string | undefined => {
    const id = idOf(ticket);
    const eventId = eventOf.get(id);
    if (!onLog.has(id)) return 'it was acknowledged and is not on the log';
    if (eventId === undefined) return 'it is on the log and not in Postgres';
    if (!completed.has(eventId)) return 'no run of it is completed';
    const destinations = destinationsOf(ticket);
    const notDelivered = destinations.find((destination) => !delivered.has(`${eventId} ${destination}`));
    if (notDelivered !== undefined) return `its delivery to ${notDelivered} is not delivered`;
    const notTaken = destinations.find((destination) => !taken.has(`${id} ${destination}`));
    return notTaken === undefined ? undefined : `${notTaken} never took it`;
  };
  return [...acknowledged(requests).values()].flatMap((ticket) => {
    const what = reasonOf(ticket);
    return what === undefined ? [] : [{ kind: 'lost' as const, ticket: idOf(ticket), what }];
  });
}

export function acknowledged(requests: readonly PartnerRequest[]): Map<string, Ticket> {
  return new Map(requests.filter(({ outcome }) => outcome === 'ok').map((request) => [idOf(request), request]));
}

/** No effect exists that no partner can have caused, and the sink receives nothing but our deliveries. */
function phantoms({ requests, arrivals }: Observed, evidence: Evidence): PromiseViolation[] {
  const possible = new Set(requests.filter(({ outcome }) => outcome !== 'fail').map((request) => idOf(request)));
  const deliveries = new Set(evidence.deliveries.flatMap(({ id }) => namesOf(id)));
  return [
    ...evidence.events
      .filter(({ ticket }) => !possible.has(ticket))
      .map(({ ticket }) => ({ kind: 'phantom' as const, ticket, what: 'an event that nobody can have sent is in Postgres' })),
    ...arrivals
      .filter((arrival) => !possible.has(idOf(arrival)))
      .map((arrival) => ({ kind: 'phantom' as const, ticket: idOf(arrival), what: 'the sink got an event that nobody can have sent' })),
    ...distinct(arrivals, ({ webhookId }) => webhookId)
      .filter(({ webhookId }) => !deliveries.has(webhookId))
      .map((arrival) => ({
        kind: 'phantom' as const,
        ticket: idOf(arrival),
        what: `the sink got ${arrival.webhookId}, which is no delivery`,
      })),
  ];
}

/**
 * One event per ticket, one completed run per generation with one decision in all records, one delivery per destination and generation, one payload
 * per delivery. A repeat of the same request under its `webhook-id` is no second effect.
 */
function secondEffects(arrivals: readonly SinkRequest[], evidence: Evidence): PromiseViolation[] {
  const generationOf = new Map(evidence.deliveries.flatMap(({ id, generation }) => namesOf(id).map((name) => [name, generation])));
  const ticketOf = new Map(evidence.events.map(({ id, ticket }) => [id, ticket]));
  const taken = distinct(arrivals.filter(isTaken), ({ webhookId }) => webhookId);
  const second = <T>(
    items: readonly T[],
    keyOf: (item: T) => string,
    ticket: (item: T) => string | undefined,
    what: string,
  ): PromiseViolation[] => repeated(items, keyOf).map((item) => ({ kind: 'second effect', ticket: ticket(item), what }));
  const ofEvent = ({ eventId }: { eventId: string }): string | undefined => ticketOf.get(eventId);
  return [
    ...second(
      evidence.events,
      ({ ticket }) => ticket,
      ({ ticket }) => ticket,
      'there are two events of it in Postgres',
    ),
    ...second(
      evidence.runs.filter(({ state }) => state === 'completed'),
      ({ eventId, flow, generation }) => `${eventId} ${flow} ${generation}`,
      ofEvent,
      'two runs of one generation are completed',
    ),
    ...second(
      distinct(evidence.log.completions, ({ runId, decision }) => `${runId} ${decision}`),
      ({ runId }) => runId,
      ({ runId }) => ofEvent({ eventId: evidence.runs.find(({ id }) => id === runId)?.eventId ?? '' }),
      'two decisions of one run were told',
    ),
    ...second(
      evidence.deliveries,
      ({ eventId, flow, destination, generation }) => `${eventId} ${flow} ${destination} ${generation}`,
      ofEvent,
      'there are two deliveries of one decision to one destination',
    ),
    ...second(
      taken,
      (arrival) => `${idOf(arrival)} ${arrival.destination} ${generationOf.get(arrival.webhookId) ?? 'unknown'}`,
      idOf,
      'the sink took two deliveries of it',
    ),
    ...second(
      distinct(arrivals, ({ webhookId, bodyHash }) => `${webhookId} ${bodyHash}`),
      ({ webhookId }) => webhookId,
      idOf,
      'two payloads came under one webhook-id',
    ),
  ];
}

/** The destination that takes each request anew has taken each delivery once. */
function keylessRepeats(arrivals: readonly SinkRequest[]): PromiseViolation[] {
  const taken = arrivals.filter((arrival) => arrival.destination === keylessDestination && isTaken(arrival));
  const what = 'the destination that takes each request anew took a delivery twice';
  return repeated(taken, ({ webhookId }) => webhookId).map((arrival) => ({ kind: 'keyless repeat', ticket: idOf(arrival), what }));
}

/** The events of a customer and lane are in one partition, in the order they were sent. Repeats do not count. */
function disorderOnTheLog({ log }: Evidence): PromiseViolation[] {
  const violations: PromiseViolation[] = [];
  const streams = new Map<string, { partition: number; last: number }>();
  for (const event of log.events.toSorted((a, b) => a.offset - b.offset)) {
    const name = `${event.customer}/${event.lane}`;
    const sequence = Number(event.ticket.slice(name.length + 1));
    const stream = streams.get(name) ?? { partition: event.partition, last: 0 };
    streams.set(name, stream);
    if (event.partition !== stream.partition) {
      const what = `it is in partition ${event.partition}, events before it in ${stream.partition}`;
      violations.push({ kind: 'order', ticket: event.ticket, what });
    } else if (sequence > stream.last) {
      if (sequence !== stream.last + 1)
        violations.push({ kind: 'order', ticket: event.ticket, what: `on the log it comes after ${stream.last}` });
      stream.last = sequence;
    }
  }
  return violations;
}

/** At the strict destination, the first arrivals of a customer's events of a lane are in the order they were sent, and so are the first accepted ones. */
function disorderAtTheSink(arrivals: readonly SinkRequest[]): PromiseViolation[] {
  const strict = arrivals.filter(({ destination }) => destination === strictDestination);
  return [...outOfSequence(strict, 'arrived'), ...outOfSequence(strict.filter(isTaken), 'was taken')];
}

/** @param arrivals the events of each customer and lane from the first on, without a gap; only the first arrival of each counts */
export function outOfSequence(arrivals: readonly Ticket[], how: string): PromiseViolation[] {
  const violations: PromiseViolation[] = [];
  const lastOf = new Map<string, number>();
  const known = new Set<string>();
  for (const arrival of arrivals) {
    const ticket = idOf(arrival);
    if (known.has(ticket)) continue;
    known.add(ticket);
    const stream = `${arrival.customer}/${arrival.lane}`;
    const last = lastOf.get(stream) ?? 0;
    if (arrival.sequence !== last + 1) violations.push({ kind: 'order', ticket, what: `it ${how} after ${last}` });
    lastOf.set(stream, Math.max(last, arrival.sequence));
  }
  return violations;
}

function offsetsBackwards(samples: readonly OffsetSample[]): PromiseViolation[] {
  const violations: PromiseViolation[] = [];
  const last = new Map<string, number>();
  for (const { at, group, topic, offsets } of samples) {
    for (const [partition, offset] of offsets) {
      const source = `${group} ${topic}/${partition}`;
      const before = last.get(source) ?? 0;
      if (offset < before)
        violations.push({ kind: 'offset', ticket: undefined, what: `${source} went back from ${before} to ${offset} at ${at} ms` });
      last.set(source, offset);
    }
  }
  return violations;
}

/** Postgres and this process read the same clock, a moment apart. */
const clockToleranceMs = 50;

/** A record that a group has committed is finished: its run, or the deliveries of its decision, are in Postgres. */
function offsetsBeyondTheUnfinished(samples: readonly OffsetSample[], evidence: Evidence): PromiseViolation[] {
  const excused = new Set(evidence.deadLetters.map(({ customer }) => customer));
  const runOfEvent = new Map(evidence.runs.filter(({ generation }) => generation === 0).map((run) => [run.eventId, run]));
  const runById = new Map(evidence.runs.map((run) => [run.id, run]));
  const plannedAt = new Map(evidence.deliveries.map(({ eventId, generation, createdAt }) => [`${eventId} ${generation}`, createdAt]));
  const events = evidence.log.events
    .filter(({ customer }) => !excused.has(customer)) // its records may have been put aside, which also finishes them
    .map((event) => ({ ...event, finishedAt: runOfEvent.get(event.eventId)?.finishedAt ?? Infinity }));
  const completions = evidence.log.completions.map((completion) => {
    const { eventId, generation } = runById.get(completion.runId) ?? { eventId: '', generation: 0 };
    return { ...completion, ticket: completion.runId, finishedAt: plannedAt.get(`${eventId} ${generation}`) ?? Infinity };
  });
  return [
    ...committedTooEarly(
      samples.filter(({ group }) => group === 'flows'),
      events,
    ),
    ...committedTooEarly(
      samples.filter(({ group }) => group === 'deliveries'),
      completions,
    ),
  ];
}

function committedTooEarly(
  samples: readonly OffsetSample[],
  records: readonly { topic: string; partition: number; offset: number; ticket: string; finishedAt: number }[],
): PromiseViolation[] {
  const violations: PromiseViolation[] = [];
  const waiting = new Map(
    [...Map.groupBy(records, ({ topic, partition }) => `${topic}/${partition}`)].map(([partition, ofPartition]) => [
      partition,
      ofPartition.toSorted((a, b) => b.offset - a.offset),
    ]),
  );
  for (const { at, topic, offsets, group } of samples) {
    for (const [partition, committed] of offsets) {
      const open = waiting.get(`${topic}/${partition}`) ?? [];
      for (let next = open.at(-1); next !== undefined && next.offset < committed; next = open.at(-1)) {
        open.pop();
        if (next.finishedAt <= at + clockToleranceMs) continue;
        const what = `${group} had committed ${topic}/${partition}/${next.offset} at ${at} ms, finished at ${next.finishedAt} ms`;
        violations.push({ kind: 'offset', ticket: next.ticket, what });
      }
    }
  }
  return violations;
}

function isTaken({ status }: SinkRequest): boolean {
  return status === 204;
}

/** The first item of each key. */
export function distinct<T>(items: readonly T[], keyOf: (item: T) => string): T[] {
  const known = new Set<string>();
  return items.filter((item) => !known.has(keyOf(item)) && known.add(keyOf(item)));
}

/** The second item of each key. */
export function repeated<T>(items: readonly T[], keyOf: (item: T) => string): T[] {
  const counts = new Map<string, number>();
  return items.filter((item) => {
    const count = (counts.get(keyOf(item)) ?? 0) + 1;
    counts.set(keyOf(item), count);
    return count === 2;
  });
}
