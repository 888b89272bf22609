import { acknowledged, destinationsOf, violationKinds } from '../chaos/checker.js';
import type { PromiseViolation, ViolationKind } from '../chaos/checker.js';
import type { Evidence } from '../chaos/evidence.js';
import { idOf } from '../chaos/history.js';
import type { History, Ticket } from '../chaos/history.js';

/** The cost of the loss of a region. */
export interface RegionLoss {
  /** Acknowledged events that the other region does not have. */
  readonly lost: number;
  /** Lost events that had been delivered before the loss. */
  readonly delivered: number;
  /** How long before the loss the first of them was acknowledged, ms. */
  readonly oldestLostMs: number;
  /** Deliveries that a destination took again under the same `webhook-id`. */
  readonly repeated: number;
  /** Repeated deliveries at the destination that takes each request anew; `repeated` counts them, too. */
  readonly keylessRepeats: number;
  /** Violations that the loss does not excuse. */
  readonly violations: ReadonlyMap<ViolationKind, PromiseViolation[]>;
}

/**
 * Takes from the violations of a run what the asynchronous copies of a region excuse: acknowledged events that neither copy had, the gaps that they leave
 * in the order of their customers, what their destinations got before the loss, and what a destination without keys took again because the standby
 * did not know of it.
 */
export function judge(
  violations: readonly PromiseViolation[],
  { history, evidence, lostAt }: { history: Pick<History, 'requests' | 'arrivals'>; evidence: Evidence; lostAt: number },
): RegionLoss {
  const known = new Set(evidence.events.map(({ ticket }) => ticket));
  const taken = history.arrivals.filter(({ status }) => status === 204);
  const takenBy = new Set(taken.map((arrival) => `${idOf(arrival)} ${arrival.destination}`));
  const isTaken = (ticket: Ticket): boolean => destinationsOf(ticket).every((destination) => takenBy.has(`${idOf(ticket)} ${destination}`));
  const tickets = acknowledged(history.requests);
  const lost = [...tickets.values()].filter((ticket) => !known.has(idOf(ticket)));
  const lostIds = new Set(lost.map(idOf));
  // Also those that are finished in Postgres and whose records were not mirrored.
  const onLog = new Set(evidence.log.events.map(({ ticket }) => ticket));
  const offLog = new Set([...tickets.keys()].filter((id) => !onLog.has(id)));
  const acknowledgedAt = (id: string): number =>
    Math.min(...history.requests.filter((request) => request.outcome === 'ok' && idOf(request) === id).map(({ endedAt }) => endedAt));

  const isExcused = ({ kind, ticket = '', what }: PromiseViolation): boolean => {
    if (kind === 'lost') {
      // An event that was recorded and finished, and whose record was not mirrored, needs no record.
      const one = tickets.get(ticket);
      return lostIds.has(ticket) || (what.includes('not on the log') && one !== undefined && isTaken(one));
    }
    if (kind === 'phantom') return lostIds.has(ticket);
    if (kind === 'keyless repeat') return true;
    return kind === 'order' && isGap(ticket, what, what.startsWith('on the log') ? offLog : lostIds);
  };
  const left = violations.filter((violation) => !isExcused(violation));
  return {
    lost: lost.length,
    delivered: lost.filter(isTaken).length,
    oldestLostMs: Math.max(0, ...[...lostIds].map((id) => lostAt - acknowledgedAt(id))),
    repeated: taken.length - new Set(taken.map(({ webhookId }) => webhookId)).size,
    keylessRepeats: violations.filter(({ kind }) => kind === 'keyless repeat').length,
    violations: new Map(violationKinds.map((kind) => [kind, left.filter((violation) => violation.kind === kind)])),
  };
}

/** Returns true if an event comes after another one of its customer and lane, and everything between the two is lost. */
function isGap(ticket: string, what: string, lost: ReadonlySet<string>): boolean {
  const after = /after (\d+)$/.exec(what)?.[1];
  const slash = ticket.lastIndexOf('/');
  const sequence = Number(ticket.slice(slash + 1));
  if (after === undefined || !(sequence > Number(after))) return false;
  const between = Array.from({ length: sequence - Number(after) - 1 }, (_, index) => Number(after) + 1 + index);
  return between.every((one) => lost.has(`${ticket.slice(0, slash)}/${one}`));
}
