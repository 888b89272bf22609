/** `npm run chaos`: runs load and faults, and counts what was lost, doubled, out of order or stuck. `docs/chaos.md` describes the checks. */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parsedOrExit } from '../options.js';
import { check, errorsAtTheDoor } from './checker.js';
import type { PromiseViolation, ViolationKind } from './checker.js';
import { actingDocuments, checkActing, readActing } from './acting.js';
import { checkTicks, clockDocuments, clockSpan, readTicks } from './clock.js';
import { applyToPostgres } from './documents.js';
import { CalmSink } from './calm-sink.js';
import { StrickenRedis, cachingDocuments, checkCached, readCached } from './caching.js';
import { copyCompiledCode, plantedBugs } from './compiled-code.js';
import { DecisionCallers, checkDecisions, checkStreams, decisionDocuments, issueCallerKey, readDecisions } from './deciding.js';
import { Desk } from './desk.js';
import { DashboardWatch } from './dashboard-watch.js';
import { hostileStates, readPostgres } from './evidence.js';
import { planFaults } from './fault-plan.js';
import type { PlannedFault } from './fault-plan.js';
import { HostileTenant } from './hostile-tenant.js';
import { HealthWatch } from '../fuzz/health-watch.js';
import { History } from './history.js';
import { readLog } from './log-reader.js';
import { Nemesis } from './nemesis.js';
import { OffsetWatch } from './offset-watch.js';
import { Operator } from './operator.js';
import { hostileWindowMs, readOptions, usage } from './options.js';
import type { ChaosOptions } from './options.js';
import { Partners } from './partners.js';
import { checkEntries, pullDocuments, readEntries } from './pulling.js';
import { untilQuiet } from './quiet.js';
import { ReleaseMissing, buildRelease, copyRelease } from './release-before.js';
import { checkRetried, readRetried, retryDocuments } from './retrying.js';
import type { RetriedArrival } from './retrying.js';
import { Reviewers, checkReviews, readReviews, reviewDocuments } from './reviewing.js';
import { report } from './report.js';
import type { ChaosRun } from './report.js';
import { hasRedis } from '#libs/testing';
import { Sink } from './sink.js';
import { System } from './system.js';
import { Trier, checkTried, readTried, triedDocuments } from './trying.js';
import type { TriedArrival } from './trying.js';
import { Upgrade } from './upgrade.js';

const { options, plan } = optionsOrExit();
const directory = mkdtempSync(join(tmpdir(), 'millrace-chaos-'));
chmodSync(directory, 0o755); // Postgres does not run as root
const history = new History();
const tell = (line: string): void => console.log(`${(history.now() / 1_000).toFixed(1).padStart(7)} s  ${line}`);

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));
const run = await carryOut(options).catch(brokenOff);
for (const line of report(run)) console.log(line);
const failed =
  run.violations.length > 0 ||
  run.stuck !== undefined ||
  run.dashboards?.withoutSeries.some(({ emptyUntil }) => emptyUntil === undefined) === true;
if (options.keep || (failed && options.plants.length === 0)) {
  keep(run);
  console.log(`The history of this run is in ${directory}`);
} else {
  rmSync(directory, { recursive: true, force: true });
}
console.log(lastLine());
process.exit(failed ? 1 : 0);

/** Ends the process after a failure of the harness itself, which proves nothing. The run's folder is kept. */
function brokenOff(error: unknown): never {
  if (error instanceof ReleaseMissing) {
    rmSync(directory, { recursive: true, force: true });
    console.error(error.message);
    process.exit(4);
  }
  console.error(error);
  console.error(`The run was broken off; what its processes printed is in ${join(directory, 'output')}`);
  process.exit(3);
}

function lastLine(): string {
  if (options.plants.length === 0) return failed ? 'FAILED' : 'passed';
  const isSeen = (kind: ViolationKind): boolean => run.violations.some((violation) => violation.kind === kind);
  const hidden = options.plants.filter((plant) => !plantedBugs[plant].shows.some(isSeen));
  if (hidden.length > 0)
    return `NOT FOUND: ${hidden.map((plant) => `${plant} (${plantedBugs[plant].shows.join(', ')} should show it)`).join(', ')}`;
  const found = options.plants.map((plant) => `${plant} as ${plantedBugs[plant].shows.filter(isSeen).join(', ')}`);
  return `found what was planted: ${found.join('; ')}`;
}

function optionsOrExit(): { options: ChaosOptions; plan: PlannedFault[] } {
  return parsedOrExit(usage, () => {
    const read = readOptions(process.argv.slice(2));
    if (read.faults.includes('redis') && !hasRedis()) throw new Error('--faults redis needs /usr/bin/redis-server');
    return { options: read, plan: planFaults({ seed: read.seed, kinds: read.faults, durationMs: read.minutes * 60_000 }) };
  });
}

async function carryOut({
  seed,
  rate,
  customers,
  minutes,
  log,
  quietMinutes,
  plants,
  watch: isWatched,
  before,
  faults,
  hostile,
  hostileActions,
}: ChaosOptions): Promise<ChaosRun> {
  const redis = faults.includes('redis') ? await StrickenRedis.start() : undefined;
  const [sink, desk, triedSink] = [
    await Sink.start(history),
    await Desk.start(history),
    await CalmSink.start<Omit<TriedArrival, 'webhookId'>>(),
  ];
  const retriedSink = await CalmSink.start<Omit<RetriedArrival, 'webhookId'>>();
  const tenant = hostile ? await HostileTenant.create(history, seed, hostileActions) : undefined;
  const after = copyCompiledCode(directory, plants);
  const roots =
    before === undefined ? undefined : { before: copyRelease(await buildRelease(before, tell), join(directory, 'before')), after };
  const system = await System.start({
    more: tenant?.documents ?? [],
    log,
    directory,
    root: roots?.before ?? after,
    brokerRoot: after,
    isBefore: roots !== undefined,
    redisUrl: redis?.url,
    sink,
  });
  // The release before knows no schedules.
  const span = roots === undefined ? clockSpan(Date.now(), minutes) : undefined;
  if (span !== undefined) await applyToPostgres(system.postgres.serviceUrl, clockDocuments(span));
  // Nor connections. The figures beside a hostile tenant are compared with earlier ones, which had no such flows.
  const isActing = roots === undefined && !hostile;
  if (isActing)
    await applyToPostgres(system.postgres.serviceUrl, [
      ...actingDocuments(desk.url),
      ...pullDocuments(),
      ...reviewDocuments(),
      ...decisionDocuments(),
      ...triedDocuments(triedSink.url),
      ...retryDocuments(retriedSink.url),
    ]);
  // Without Redis each process has the outputs in its memory alone, which a bug of the cache needs no more than.
  const isCaching = redis !== undefined || plants.some((plant) => plantedBugs[plant].shows.includes('cache'));
  if (isCaching) await applyToPostgres(system.postgres.serviceUrl, cachingDocuments(`${system.model}/v1`));
  const callerKey = isActing ? await issueCallerKey(system.postgres.serviceUrl) : undefined;
  const partners = new Partners({ doors: system.doors, history, seed, rate, customers });
  const prometheus = isWatched ? await DashboardWatch.start(system.services) : undefined;
  const watch = new OffsetWatch(system.log.brokers, history);
  const operator = new Operator(system.graphql, (deliveryId) => sink.wasTaken(deliveryId));
  const reviewers = isActing ? new Reviewers(system.graphql) : undefined;
  const callers = callerKey === undefined ? undefined : new DecisionCallers(system.doors, callerKey);
  const trier = isActing ? new Trier(system.graphql) : undefined;
  const nemesis = new Nemesis(system, { sink, desk, redis }, history, tell);
  tell(`everything runs; partners begin (seed ${seed})`);
  const began = history.now();
  const cpuBefore = system.cpuMs;
  watch.start();
  partners.start();
  desk.list.begin();
  operator.start();
  reviewers?.start();
  callers?.start();
  trier?.start();
  tenant?.start(system, hostileWindowMs);
  const healthWatches = new Map(hostile ? system.services.filter(({ running }) => running).map(watchHealth) : []);
  const durationMs = minutes * 60_000;
  const offered = new Promise((resolve) => setTimeout(resolve, durationMs));
  const upgraded = roots && new Upgrade(system, roots, history, tell).carryOut();
  const offering = Promise.all([offered, upgraded]).then(() => {
    partners.stop();
    desk.list.end();
    void callers?.stop();
    return history.now();
  });
  const [lastOffer] = await Promise.all([offering, nemesis.carryOut(plan)]);
  await tenant?.stop(system);
  const health = new Map<string, number>();
  for (const [name, one] of healthWatches) health.set(name, (await one.stop()).longest);
  tell(`no more faults, no new events; ${partners.waiting} wait at the partners`);
  await partners.finish();
  await callers?.stop();
  tell('every event is acknowledged');
  await operator.stop();
  await trier?.stop();
  const stuck = await untilQuiet(
    { databaseUrl: system.postgres.serviceUrl, watch, operator, entriesOffered: isActing ? desk.list.length : 0 },
    quietMinutes * 60_000,
  );
  await reviewers?.stop();
  const quietAfterMs = history.now() - lastOffer;
  const cpuMs = new Map([...system.cpuMs].map(([who, ms]) => [who, ms - cpuBefore.get(who)!]));
  tell(stuck === undefined ? 'everything is at its end' : 'not everything came to its end');
  await watch.stop();
  const dashboards = await prometheus?.stop();
  await partners.close();
  await system.stopServices(); // so that what is read stands still
  const evidence = { ...(await readPostgres(system.postgres.serviceUrl, history.startedAt)), log: await readLog(system.log.brokers) };
  const ticks = span && (await readTicks(system.postgres.serviceUrl));
  const acted = isActing ? await readActing(system.postgres.serviceUrl) : undefined;
  const reviewed = reviewers && { stored: await readReviews(system.postgres.serviceUrl), told: reviewers.told };
  const decided = callers && { callers, stored: await readDecisions(system.postgres.serviceUrl) };
  const triedEvidence = trier && (await readTried(system.postgres.serviceUrl));
  const retried = isActing ? await readRetried(system.postgres.serviceUrl) : undefined;
  const pulled = isActing ? await readEntries(system.postgres.serviceUrl) : undefined;
  const cached = isCaching ? await readCached(system.postgres.serviceUrl) : undefined;
  const stands = tenant && { tenant, health, states: await hostileStates(system.postgres.serviceUrl, tenant) };
  tell('Postgres and the log are read');
  await system.stop();
  await sink.stop();
  await desk.stop();
  await triedSink.stop();
  await retriedSink.stop();
  await redis?.stop();
  tenant?.close();
  const { surprises } = system;
  const violations = [
    // In an upgrade `notices` is a destination like any other: the release before knows no idempotency class.
    ...check(history, evidence, surprises).filter(({ kind }) => roots === undefined || kind !== 'keyless repeat'),
    ...(span && ticks ? checkTicks(span, ticks) : []),
    ...(acted ? checkActing(history, acted) : []),
    ...(pulled ? checkEntries(desk.list.length, pulled, evidence.log.pulled) : []),
    ...(reviewed ? checkReviews(history, reviewed.stored, reviewed.told) : []),
    ...(decided ? [...checkDecisions(decided.callers.answers, decided.stored), ...checkStreams(decided.callers.streams)] : []),
    ...(triedEvidence ? checkTried(triedEvidence, triedSink.arrivals) : []),
    ...(retried ? checkRetried(history, retried, retriedSink.arrivals) : []),
    ...(cached ? checkCached(history, cached) : []),
    ...lostOfHostile(stands?.states),
    ...(roots ? errorsAtTheDoor(history.requests) : []),
  ];
  return {
    options,
    history,
    partners,
    operator,
    evidence,
    ticks: ticks?.length,
    entries: pulled && { length: desk.list.length, repeats: repeatsOf(evidence.log.pulled) },
    reviewed,
    decided,
    tried: trier && { evidence: triedEvidence!, promotions: trier.promotions },
    acted: acted && { evidence: acted, reads: desk.reads },
    cached,
    retried,
    violations,
    stuck,
    surprises,
    offeredMs: lastOffer - began,
    quietAfterMs,
    cpuMs,
    hostile: stands,
    dashboards,
  };
}

function watchHealth({ name, url }: { name: string; url: string }): [string, HealthWatch] {
  const watch = new HealthWatch();
  watch.start(`${url}/healthz`);
  return [name, watch];
}

function repeatsOf(onLog: readonly { readonly ticket: string }[]): number {
  return onLog.length - new Set(onLog.map(({ ticket }) => ticket)).size;
}

/** An acknowledged event of the hostile tenant may fail, but it must not vanish. */
function lostOfHostile(states: ReadonlyMap<string, number> | undefined): PromiseViolation[] {
  const count = (states?.get('nowhere') ?? 0) + (states?.get('without its run') ?? 0);
  return count === 0 ? [] : [{ kind: 'lost', ticket: undefined, what: `${count} acknowledged events of the hostile tenant stand nowhere` }];
}

/** Writes the history and the evidence as JSON lines. */
function keep({ evidence, acted, reviewed, tried, retried, violations }: ChaosRun): void {
  const write = (name: string, rows: readonly unknown[]): void =>
    writeFileSync(join(directory, `${name}.jsonl`), rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  write('violations', violations);
  write('requests', history.requests);
  write('arrivals', history.arrivals);
  write('desk-requests', history.deskRequests);
  write('acting-runs', acted?.evidence.runs ?? []);
  write('acting-deliveries', acted?.evidence.deliveries ?? []);
  write('reviews', reviewed?.stored ?? []);
  write('trials', tried?.evidence.trials ?? []);
  write('tried-runs', tried?.evidence.runs ?? []);
  write('tried-deliveries', tried?.evidence.deliveries ?? []);
  write('retried-runs', retried ?? []);
  write('told-decisions', reviewed?.told ?? []);
  write('waits', acted?.evidence.waits ?? []);
  write('log-entries', evidence.log.pulled);
  write('faults', history.faults);
  write(
    'offsets',
    history.offsets.map((sample) => ({ ...sample, offsets: [...sample.offsets] })),
  );
  write('events', evidence.events);
  write('runs', evidence.runs);
  write('deliveries', evidence.deliveries);
  write('dead-letters', evidence.deadLetters);
  write('log-events', evidence.log.events);
  write('log-completions', evidence.log.completions);
}
