import { otherDestination, strictDestination } from './documents.js';
import type { Evidence } from './evidence.js';
import { idOf } from './history.js';
import type { Arrival, History, OffsetSample, Request, Ticket } from './history.js';

export const violationKinds = ['lost', 'phantom', 'second effect', 'order', 'offset', 'died'] as const;
export type ViolationKind = (typeof violationKinds)[number];

/** A promise that was broken, with the ticket whose history shows it. */
export interface Violation {
  readonly kind: ViolationKind;
  readonly ticket: string | undefined;
  readonly what: string;
}

type Seen = Pick<History, 'requests' | 'arrivals' | 'offsets'>;

/**
 * Judges a run from what was seen from outside and what was found afterwards. Modelled on Jepsen's queue workload: every event has a unique place
 * in the order of its partner, so each promise is a linear scan.
 * @param surprises ends of processes that nobody asked for: no fault of this harness is a reason to end
 */
export function check(seen: Seen, evidence: Evidence, surprises: readonly string[] = []): Violation[] {
  return [
    ...lost(seen, evidence),
    ...phantoms(seen, evidence),
    ...secondEffects(seen.arrivals, evidence),
    ...disorderOnTheLog(evidence),
    ...disorderAtTheSink(seen.arrivals),
    ...offsetsBackwards(seen.offsets),
    ...offsetsBeyondTheUnfinished(seen.offsets, evidence),
    ...surprises.map((what) => ({ kind: 'died' as const, ticket: undefined, what })),
  ];
}

/** Where a ticket is to arrive. */
export function destinationsOf({ sequence }: Ticket): string[] {
  return sequence % 5 === 0 ? [strictDestination, otherDestination] : [strictDestination];
}

/** Every acknowledged event is on the log and in Postgres, its last run is completed, its deliveries are delivered, and the sink has taken them. */
function lost({ requests, arrivals }: Seen, evidence: Evidence): Violation[] {
  const onLog = new Set(evidence.log.events.map(({ ticket }) => ticket));
  const eventOf = new Map(evidence.events.map((event) => [event.ticket, event.id]));
  const completed = new Set(evidence.runs.filter(({ state }) => state === 'completed').map(({ eventId }) => eventId));
  const delivered = new Set(
    evidence.deliveries.filter(({ state }) => state === 'delivered').map(({ eventId, destination }) => `${eventId} ${destination}`),
  );
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

export function acknowledged(requests: readonly Request[]): Map<string, Ticket> {
  return new Map(requests.filter(({ outcome }) => outcome === 'ok').map((request) => [idOf(request), request]));
}

/** Nothing has an effect that no partner can have caused, and nothing reaches the sink that is no delivery of ours. */
function phantoms({ requests, arrivals }: Seen, evidence: Evidence): Violation[] {
  const possible = new Set(requests.filter(({ outcome }) => outcome !== 'fail').map((request) => idOf(request)));
  const deliveries = new Set(evidence.deliveries.map(({ id }) => id));
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
 * One event per ticket, one completed run per generation with one decision wherever it is told, one delivery per destination and generation, one
 * payload per delivery. The same request once more is none of these: that is what the `webhook-id` is for.
 */
function secondEffects(arrivals: readonly Arrival[], evidence: Evidence): Violation[] {
  const generationOf = new Map(evidence.deliveries.map(({ id, generation }) => [id, generation]));
  const ticketOf = new Map(evidence.events.map(({ id, ticket }) => [id, ticket]));
  const taken = distinct(arrivals.filter(isTaken), ({ webhookId }) => webhookId);
  const second = <T>(items: readonly T[], keyOf: (item: T) => string, ticket: (item: T) => string | undefined, what: string): Violation[] =>
    repeated(items, keyOf).map((item) => ({ kind: 'second effect', ticket: ticket(item), what }));
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

/** A customer's events of a lane stand in one partition, in the order they were sent; repeats do not count. */
function disorderOnTheLog({ log }: Evidence): Violation[] {
  const violations: Violation[] = [];
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

/** At the strict destination, a customer's events of a lane arrive for the first time, and are taken for the first time, in the order they were sent. */
function disorderAtTheSink(arrivals: readonly Arrival[]): Violation[] {
  const strict = arrivals.filter(({ destination }) => destination === strictDestination);
  return [...outOfSequence(strict, 'arrived'), ...outOfSequence(strict.filter(isTaken), 'was taken')];
}

function outOfSequence(arrivals: readonly Arrival[], how: string): Violation[] {
  const violations: Violation[] = [];
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

function offsetsBackwards(samples: readonly OffsetSample[]): Violation[] {
  const violations: Violation[] = [];
  const last = new Map<string, number>();
  for (const { at, group, topic, offsets } of samples) {
    for (const [partition, offset] of offsets) {
      const place = `${group} ${topic}/${partition}`;
      const before = last.get(place) ?? 0;
      if (offset < before)
        violations.push({ kind: 'offset', ticket: undefined, what: `${place} went back from ${before} to ${offset} at ${at} ms` });
      last.set(place, offset);
    }
  }
  return violations;
}

/** Postgres' clock and ours are the same, read a moment apart. */
const clockToleranceMs = 50;

/** What a group has committed is finished: the event's run, or the decision's deliveries, stand in Postgres. */
function offsetsBeyondTheUnfinished(samples: readonly OffsetSample[], evidence: Evidence): Violation[] {
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
): Violation[] {
  const violations: Violation[] = [];
  const waiting = new Map(
    [...Map.groupBy(records, ({ topic, partition }) => `${topic}/${partition}`)].map(([place, ofPlace]) => [
      place,
      ofPlace.toSorted((a, b) => b.offset - a.offset),
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

function isTaken({ status }: Arrival): boolean {
  return status === 204;
}

/** The first of each key. */
function distinct<T>(items: readonly T[], keyOf: (item: T) => string): T[] {
  const known = new Set<string>();
  return items.filter((item) => !known.has(keyOf(item)) && known.add(keyOf(item)));
}

/** The second of each key. */
function repeated<T>(items: readonly T[], keyOf: (item: T) => string): T[] {
  const counts = new Map<string, number>();
  return items.filter((item) => {
    const count = (counts.get(keyOf(item)) ?? 0) + 1;
    counts.set(keyOf(item), count);
    return count === 2;
  });
}
