import { cpus } from 'node:os';
import type { CachedRun } from './caching.js';
import { percentile } from '../bench/numbers.js';
import type { ActingEvidence } from './acting.js';
import type { Desk } from './desk.js';
import type { HostileTenant, ProcessorUse } from './hostile-tenant.js';
import type { ChaosOptions } from './options.js';
import { acknowledged } from './checker.js';
import type { PromiseViolation } from './checker.js';
import { violationKinds } from './checker.js';
import type { SentQuery } from '../../tools/monitoring/dashboards.js';
import type { DashboardFindings } from './dashboard-watch.js';
import type { Evidence } from './evidence.js';
import { idOf } from './history.js';
import type { History, InjectedFault } from './history.js';
import type { Operator } from './operator.js';
import type { Partners } from './partners.js';
import type { Unfinished } from './quiet.js';
import { agrees, isLate, isUnconfirmed, isWhole } from './deciding.js';
import type { DecisionCallers, StoredDecision } from './deciding.js';
import type { RetriedRun } from './retrying.js';
import type { StoredReview, ToldDecision } from './reviewing.js';
import type { TriedEvidence } from './trying.js';

/** The result of a chaos run. */
export interface ChaosRun {
  readonly options: ChaosOptions;
  readonly history: History;
  readonly partners: Partners;
  readonly operator: Operator;
  readonly evidence: Evidence;
  /** Events of the schedule; undefined if there was none. */
  readonly ticks: number | undefined;
  /** The length of the list that a pull read, and the records on the log beyond the first ones of its entries; undefined if there was none. */
  readonly entries: { readonly length: number; readonly repeats: number } | undefined;
  /** The runs of the flow with a cache; undefined if there was no Redis. */
  readonly cached: readonly CachedRun[] | undefined;
  /** The work of flows at the desk; undefined if there were none that act. */
  readonly acted: { readonly evidence: ActingEvidence; readonly reads: Desk['reads'] } | undefined;
  /** Reviews, and what people were told about their decisions; undefined if nobody was asked. */
  /** The callers who waited for decisions; undefined if there were none. */
  readonly decided: { readonly callers: DecisionCallers; readonly stored: readonly StoredDecision[] } | undefined;
  readonly reviewed: { readonly stored: readonly StoredReview[]; readonly told: readonly ToldDecision[] } | undefined;
  /** Trials beside the load, and the promotions that were ordered; undefined if there were none. */
  readonly tried: { readonly evidence: TriedEvidence; readonly promotions: number } | undefined;
  /** The runs of the flow that operators retry; undefined if there were none. */
  readonly retried: readonly RetriedRun[] | undefined;
  readonly violations: readonly PromiseViolation[];
  readonly stuck: Unfinished | undefined;
  readonly surprises: readonly string[];
  /** Time from the first to the last offered event. */
  readonly offeredMs: number;
  /** Time from the last offered event until all work was finished. */
  readonly quietAfterMs: number;
  /** User and system time of the run, by kind of process. */
  readonly cpuMs: ReadonlyMap<string, number>;
  readonly hostile: HostileResult | undefined;
  /** Undefined unless it was watched. */
  readonly dashboards: DashboardFindings | undefined;
}

/** The actions of the hostile tenant and where its events stand. */
interface HostileResult {
  readonly tenant: HostileTenant;
  /** Its acknowledged events by where they stand. */
  readonly states: ReadonlyMap<string, number>;
  /** The longest time in ms that `/healthz` took, by process. */
  readonly health: ReadonlyMap<string, number>;
}

const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`;

/** The report in lines. Counts of 0 are printed too. */
export function report(run: ChaosRun): string[] {
  return [
    '',
    ...load(run),
    ...faults(run),
    ...effects(run),
    ...deskLines(run),
    ...reviewLines(run),
    ...decisionLines(run),
    ...trialLines(run),
    ...retryLines(run),
    ...cacheLines(run),
    ...hostileLines(run),
    ...dashboardLines(run),
    ...violationLines(run),
  ];
}

function load({ options, ticks, entries, history, partners, offeredMs, quietAfterMs, cpuMs }: ChaosRun): string[] {
  const acks = acknowledged(history.requests).size;
  const count = (why: string): number => history.requests.filter((request) => request.why === why).length;
  return [
    `seed ${options.seed}, log ${options.log}, ${options.customers} customers, ${(offeredMs / 60_000).toFixed(1)} min at ${options.rate} events/s`,
    `offered    ${partners.offered} events (${((partners.offered / offeredMs) * 1_000).toFixed(0)}/s), acknowledged ${acks}, sent late ${partners.late}`,
    ...(ticks === undefined ? [] : [`ticks      ${ticks} events of a schedule that ticks every second`]),
    ...(entries === undefined
      ? []
      : [`entries    ${entries.length} of a list that a pull reads, ${entries.repeats} records of them were repeats`]),
    `requests   ${history.requests.length}: ${count('repeat')} repeats of what was not acknowledged, ${count('duplicate')} deliberate duplicates`,
    `throughput ${((acks / (offeredMs + quietAfterMs)) * 1_000).toFixed(0)} events/s to the end of everything, ${seconds(quietAfterMs)} after the last offer`,
    `cpu        ${cpuPerEvent(cpuMs, acks)}`,
  ];
}

function dashboardLines({ dashboards }: ChaosRun): string[] {
  if (dashboards === undefined) return [];
  const { queries, withoutSeries } = dashboards;
  return [`dashboards ${queries - withoutSeries.length} of ${queries} queries gave series`, ...withoutSeries.map(noSeries)];
}

const noSeries = ({ where, expr, emptyUntil }: SentQuery): string =>
  `           ${where}: ${emptyUntil === undefined ? `NONE: ${expr}` : `none until ${emptyUntil}`}`;

/** CPU time per event, by kind of process. */
function cpuPerEvent(cpuMs: ReadonlyMap<string, number>, events: number): string {
  const each = (ms: number): string => `${(ms / events).toFixed(2)} ms`;
  const parts = [...cpuMs].toSorted(([, a], [, b]) => b - a).map(([who, ms]) => `${who} ${each(ms)}`);
  return `${each([...cpuMs.values()].reduce((sum, ms) => sum + ms, 0))} per event: ${parts.join(', ')}`;
}

function faults({ history, surprises }: ChaosRun): string[] {
  const kills = history.faults.reduce((sum, fault) => sum + fault.kills, 0);
  const byKind = Map.groupBy(history.faults, ({ kind }) => kind);
  return [
    `faults     ${history.faults.length}, of them ${kills} kills -9 of a process; processes that ended by themselves: ${surprises.length}`,
    ...[...byKind].map(([kind, ofKind]) => {
      const times = ofKind
        .map((fault) => recoveryOf(fault, history))
        .filter((ms) => ms !== undefined)
        .toSorted((a, b) => a - b);
      const median = times[Math.floor(times.length / 2)];
      const summary = median === undefined ? 'none measured' : `median ${seconds(median)}, longest ${seconds(times.at(-1)!)}`;
      const pauses = ofKind.map((fault) => pauseOf(fault, history)).filter((ms) => ms !== undefined);
      const pause = pauses.length === 0 ? 'not measured' : seconds(Math.max(...pauses));
      return `  ${kind.padEnd(9)} ${String(ofKind.length).padStart(3)} times; heal → first delivery of an event accepted after it: ${summary}; longest pause of a customer: ${pause}`;
    }),
  ];
}

/** Time in ms from the end of a fault until the sink accepted an event that was acknowledged after it. */
function recoveryOf({ healedAt }: InjectedFault, { requests, arrivals }: History): number | undefined {
  const later = new Set<string>();
  for (let at = requests.length - 1; at >= 0 && requests[at]!.endedAt >= healedAt; at -= 1) {
    if (requests[at]!.why !== 'duplicate') later.add(idOf(requests[at]!));
  }
  const first = arrivals.find((arrival) => arrival.at >= healedAt && arrival.status === 204 && later.has(idOf(arrival)));
  return first === undefined ? undefined : first.at - healedAt;
}

/** The longest time in ms from the first request of an event to its first delivery, of the events that were sent first while the fault lasted. */
function pauseOf({ at, healedAt }: InjectedFault, { requests, arrivals }: History): number | undefined {
  const sentAt = new Map(
    requests
      .filter((request) => request.why === 'first' && request.at >= at && request.at <= healedAt)
      .map((request) => [idOf(request), request.at]),
  );
  let longest: number | undefined;
  const known = new Set<string>();
  for (const arrival of arrivals) {
    const id = idOf(arrival);
    const sent = sentAt.get(id);
    if (sent === undefined || arrival.status !== 204 || known.has(id)) continue;
    known.add(id);
    longest = Math.max(longest ?? 0, arrival.at - sent);
  }
  return longest;
}

function effects({ history, evidence, operator }: ChaosRun): string[] {
  const { arrivals } = history;
  const taken = arrivals.filter(({ status }) => status === 204);
  const deliveries = new Set(taken.map(({ webhookId }) => webhookId));
  const { total, repeatedAfterCrash, repeatedWithout } = evidence.modelAnswers;
  return [
    `effects    ${evidence.events.length} events, ${evidence.runs.length} runs, ${evidence.deliveries.length} deliveries in Postgres; ${evidence.log.records} records on the log`,
    `sink       ${arrivals.length} requests, ${taken.length} taken, of them ${taken.length - deliveries.size} raw repeats under the same webhook-id`,
    `model      ${total} answers, ${repeatedAfterCrash} got twice because of a crash in between, ${repeatedWithout} without such a reason`,
    `operators  ${operator.retried} dead letters of runs retried by two, ${operator.retriedTwice} of them on the log twice, ${operator.replayed} replays, ${operator.redelivered} redeliveries; of unknown outcome ${operator.uncertain.taken} deliveries that were taken, ${operator.uncertain.notTaken} that were not`,
  ];
}

function deskLines({ acted, history }: ChaosRun): string[] {
  if (acted === undefined) return [];
  const { evidence, reads } = acted;
  const count = (what: string, outcome: string): number =>
    history.deskRequests.filter((request) => request.what === what && request.outcome === outcome).length;
  const superseded = evidence.deliveries.filter(({ state }) => state === 'superseded').length;
  const ended = (reason: string): number => evidence.waits.filter((wait) => wait.reason === reason).length;
  return [
    `desk       ${count('case', 'effect')} cases and ${count('case', 'remembered')} repeats from memory, ${count('note', 'effect')} notes (${reads.foundNotes} found before a repeat), ${count('record', 'effect')} records set and ${superseded} superseded, ${reads.profiles} profiles read`,
    `  calls    ${[...evidence.attempts].map(([outcome, attempts]) => `${outcome} ${attempts}`).join(', ')}; waits: ${ended('event')} ended by the next event, ${ended('timedOut')} by their time`,
  ];
}

function decisionLines({ decided }: ChaosRun): string[] {
  if (decided === undefined) return [];
  const { answers, unanswered, streams, resumed } = decided.callers;
  const stored = new Map(decided.stored.map((one) => [one.eventId, one]));
  const unconfirmed = answers.filter(isUnconfirmed);
  const differ = unconfirmed.filter((answer) => !agrees(answer, stored.get(answer.eventId))).length;
  const byFlow = answers.filter(({ reason }) => reason === null).length;
  const late = answers.filter(isLate).length;
  const ofFlow = streams.filter(({ decision }) => decision?.reason === null);
  return [
    `decisions  ${answers.length} callers answered, ${byFlow} by the flow and ${answers.length - byFlow} by default; ${unconfirmed.length} unconfirmed, of which ${differ} differ; ${late} late; ${unanswered} without a decision`,
    `drafts     ${streams.length} followed, ${resumed} more connections; ${ofFlow.length} decided by the flow, of which ${ofFlow.filter(isWhole).length} whole`,
  ];
}

function reviewLines({ reviewed }: ChaosRun): string[] {
  if (reviewed === undefined) return [];
  const ends = Map.groupBy(reviewed.stored, ({ outcome, state }) => outcome ?? state);
  const unheard = reviewed.told.filter(({ told }) => told === 'unknown').length;
  const counts = [...ends].map(([end, reviews]) => `${end} ${reviews.length}`).join(', ');
  return [`reviews    ${reviewed.stored.length}: ${counts}; ${unheard} decisions without an answer`];
}

function retryLines({ retried }: ChaosRun): string[] {
  if (retried === undefined) return [];
  const retries = retried.filter(({ deadLetterId }) => deadLetterId !== null).length;
  return [`retries    ${retried.length} runs of a flow that fails at first, ${retries} of them retries of a dead letter`];
}

function trialLines({ tried }: ChaosRun): string[] {
  if (tried === undefined) return [];
  const { trials, runs } = tried.evidence;
  const promoted = runs.filter(({ version }) => version === 1).length;
  return [`trials     ${trials.length} kept at the end; ${tried.promotions} promotions made ${promoted} generations`];
}

function cacheLines({ cached }: ChaosRun): string[] {
  if (cached === undefined) return [];
  return [
    `cache      ${cached.length} runs of a flow with a cache, ${cached.filter(({ hasAsked }) => hasAsked).length} of which asked the model`,
  ];
}

/** After a hostile window its work goes on for a while. These events count neither as beside it nor as without it. */
const afterMs = 4_000;

/** Compares the others' times from ack to delivery in windows with and without the hostile tenant. */
function hostileLines({ hostile, history }: ChaosRun): string[] {
  if (hostile === undefined) return [];
  const { tenant, states, health } = hostile;
  const arrivedAt = new Map<string, number>();
  for (const arrival of history.arrivals) {
    if (arrival.status === 204 && !arrivedAt.has(idOf(arrival))) arrivedAt.set(idOf(arrival), arrival.at);
  }
  const [first] = tenant.windows;
  const last = tenant.windows.at(-1);
  const beside: number[] = [];
  const without: number[] = [];
  const halves: [number[], number[]] = [[], []]; // of those without it, by turns of its windows
  for (const request of history.requests) {
    const at = arrivedAt.get(idOf(request));
    if (request.outcome !== 'ok' || request.why === 'duplicate' || at === undefined) continue;
    if (first === undefined || last === undefined || request.endedAt < first.from || request.endedAt > last.to) continue; // before its first window the services warm up
    if (tenant.windows.some(({ to }) => request.endedAt >= to && request.endedAt < to + afterMs)) continue;
    const isBeside = tenant.windows.some(({ from, to }) => request.endedAt >= from && request.endedAt < to);
    const waitedMs = Math.max(0, at - request.endedAt);
    (isBeside ? beside : without).push(waitedMs);
    if (!isBeside) halves[tenant.windows.filter(({ to }) => to <= request.endedAt).length % 2 === 0 ? 0 : 1].push(waitedMs);
  }
  const figures = (values: readonly number[]): string =>
    `p50 ${percentile(values, 0.5)} ms, p99 ${percentile(values, 0.99)} ms (${values.length})`;
  const counts = (of: Iterable<readonly [string, number]>, unit = ''): string =>
    [...of].map(([what, count]) => `${what} ${count}${unit}`).join(', ');
  const ratio = percentile(beside, 0.99) / percentile(without, 0.99);
  const [lower, higher] = halves.map((half) => percentile(half, 0.99)).toSorted((one, other) => one - other) as [number, number];
  const busy = ({ busyMs, allMs }: ProcessorUse): string => `${((busyMs / allMs) * 100).toFixed(0)} %`;
  return [
    `hostile    ${tenant.windows.length} windows, ${tenant.accepted.length} events acknowledged: ${counts(states)}`,
    `  did      ${counts(tenant.outcomes)}`,
    `  others   ack → delivered without it ${figures(without)}, beside it ${figures(beside)}; p99 × ${ratio.toFixed(2)}, by itself × ${(higher / lower).toFixed(2)}`,
    `  machine  ${cpus().length} cores, busy ${busy(tenant.machine.without)} without it, ${busy(tenant.machine.beside)} beside it`,
    `  healthz  longest: ${counts(health, ' ms')}`,
  ];
}

function violationLines({ violations, stuck, history }: ChaosRun): string[] {
  const lines = violationKinds.map((kind) => {
    const ofKind = violations.filter((violation) => violation.kind === kind);
    return `${kind.padEnd(14)} ${ofKind.length}`;
  });
  const left =
    stuck === undefined
      ? '0'
      : Object.entries(stuck)
          .map(([what, count]) => `${count} ${what}`)
          .join(', ');
  return [...lines, `${'stuck'.padEnd(14)} ${left}`, ...violations.slice(0, 10).flatMap((violation) => story(violation, history))];
}

/** The history of a violation's ticket in lines. */
function story({ kind, ticket, what }: PromiseViolation, { requests, arrivals, deskRequests }: History): string[] {
  const lines = [
    ...requests
      .filter((request) => idOf(request) === ticket)
      .map(({ at, why, outcome, response, endedAt }) => ({ at, line: `${why} request, ${outcome} (${response}) at ${endedAt} ms` })),
    ...arrivals
      .filter((arrival) => idOf(arrival) === ticket)
      .map(({ at, destination, webhookId, status }) => ({ at, line: `${destination} got ${webhookId}, responded ${status}` })),
    ...deskRequests
      .filter((request) => idOf(request) === ticket)
      .map(({ at, what: of, step, key, outcome }) => ({ at, line: `the desk got a ${of} by ${step} under ${key}: ${outcome}` })),
  ];
  return [
    `✗ ${kind}${ticket === undefined ? '' : ` ${ticket}`}: ${what}`,
    ...lines.toSorted((a, b) => a.at - b.at).map(({ at, line }) => `    ${String(at).padStart(7)} ms  ${line}`),
  ];
}
