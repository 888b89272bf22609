import { Injectable } from '@nestjs/common';
import type { BeforeApplicationShutdown, OnApplicationBootstrap } from '@nestjs/common';
import { DomainError, eventsFor, looksPerTriedEvent, messageOf, trialKinds } from '#libs/contracts';
import type { CancelTrial, EventReceived, FlowDocument, StartTrial, TrialKind } from '#libs/contracts';
import { Configuration } from '#libs/persistence';
import type { Stored } from '#libs/persistence';
import { startTimer } from '#libs/time';
import { counter, logger, workDone } from '#libs/tracing';
import { ClaimLoop } from '#libs/work';
import type { Lease } from '#libs/work';
import { EventStore } from '../events/event.store.js';
import { EventTrial, sumOf } from './event.trial.js';
import { TrialStore } from './trial.store.js';
import type { BaseRun, ClaimedTrial, Costs, TrialOutcome, TrialProgress } from './trial.store.js';

export interface TrialRunnerOptions {
  /** How long a claim holds without being renewed, ms. */
  readonly leaseMs: number;
  /** How often to look for trials that other processes left behind, ms; default 1000. */
  readonly pollMs?: number;
}

/** Trials of each kind that one process carries out at once; of one tenant one. */
const concurrency = 8;
/** Events of one trial that are under way at once. */
const eventsAtOnce = 4;
const pageSize = 100;
/** The most characters of steps that are kept of one trial. */
const mostCharacters = 32 * 1_048_576;

const trials = counter('millrace_trials_total', 'Trials of flows, by the state that they came into.', {
  kind: [...trialKinds],
  state: ['running', 'completed', 'failed', 'cancelled'],
});
const outcomes = counter(
  'millrace_trial_outcomes_total',
  'Events that flows were tried on, by how the result compares with what was decided.',
  {
    kind: [...trialKinds],
    change: ['same', 'different', 'new', 'notRun', 'failed', 'recovered'],
  },
);
const log = logger('trials');

/** A trial that this process carries out. */
interface RunningTrial {
  readonly trial: ClaimedTrial;
  readonly flow: Stored<FlowDocument>;
  readonly signal: AbortSignal;
  progress: TrialProgress;
  /** The costs of the outcomes so far. */
  costs: Costs;
  readonly doneEvents: Set<string>;
  characters: number;
}

/** Its time is over. */
class TrialTimeOver extends Error {}

/**
 * Carries out flows on events without effects, beside the consumers that carry out runs: each trial by one process at a time, of a tenant one of each kind.
 * If a process ends, another one goes on with the events that have no outcome yet.
 */
@Injectable()
export class TrialRunner implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly loops: readonly ClaimLoop<ClaimedTrial>[];

  constructor(
    private readonly table: TrialStore,
    private readonly events: EventStore,
    private readonly eventTrial: EventTrial,
    private readonly configuration: Configuration,
    private readonly options: TrialRunnerOptions,
  ) {
    this.loops = trialKinds.map((kind) => this.loopOf(kind));
  }

  private loopOf(kind: TrialKind): ClaimLoop<ClaimedTrial> {
    const { leaseMs, pollMs = 1_000 } = this.options;
    return new ClaimLoop({
      what: 'trials',
      concurrency,
      leaseMs,
      pollMs,
      stopMs: 0,
      claim: async (free) => ({ claims: await this.table.claim(kind, free, leaseMs) }),
      renew: (held) => this.renew(held),
      work: (trial, lease) => this.workOn(trial, lease),
      lost: ({ id }) => new Error(`The trial ${id} is over, or another process has it`),
    });
  }

  onApplicationBootstrap(): void {
    for (const loop of this.loops) loop.start();
  }

  /** Breaks off what is under way, and gives the trials back. */
  async beforeApplicationShutdown(): Promise<void> {
    await Promise.all(this.loops.map((loop) => loop.stop()));
  }

  /** A command that comes twice starts one trial. */
  async start(command: StartTrial): Promise<void> {
    const state = await this.table.start(command);
    if (state === undefined) return;
    trials.inc({ kind: command.kind, state });
    for (const loop of this.loops) loop.wake();
  }

  /** Changes nothing if the trial is over. */
  async cancel(command: CancelTrial): Promise<void> {
    const kind = await this.table.cancel(command);
    if (kind === undefined) return;
    trials.inc({ kind, state: 'cancelled' });
    log.info({ tenant: command.tenant, trialId: command.trialId }, 'a trial was cancelled');
  }

  private async renew(held: readonly ClaimedTrial[]): Promise<readonly ClaimedTrial[]> {
    const renewed = await this.table.renew(held, this.options.leaseMs);
    return held.filter(({ id }) => renewed.has(id));
  }

  /** Never fails: a failure is logged, and the trial is given back, its claim runs out, or it has failed for good. */
  private async workOn(trial: ClaimedTrial, lease: Lease): Promise<void> {
    const startedAt = performance.now();
    const time = new AbortController();
    const timer = startTimer(() => time.abort(new TrialTimeOver('The time of the trial is over')), Math.max(0, trial.leftMs));
    let outcome = 'ok';
    try {
      outcome = await this.carryOut(trial, AbortSignal.any([lease.signal, time.signal]));
    } catch (error) {
      outcome = await this.settle(trial, error, { lease: lease.signal, time: time.signal });
    } finally {
      clearTimeout(timer);
    }
    const { tenant, id: trialId, kind, actor, flow } = trial;
    workDone(log, 'trial', { tenant, trialId, kind, flow, actor, outcome, durationMs: performance.now() - startedAt });
  }

  private async settle(trial: ClaimedTrial, error: unknown, { lease, time }: { lease: AbortSignal; time: AbortSignal }): Promise<string> {
    try {
      if (lease.aborted) {
        await this.table.release(trial);
        return 'interrupted';
      }
      if (time.aborted) return await this.end(trial, { stoppedBy: 'time' });
      if (error instanceof DomainError && error.outcome === 'retry') return error.code; // its claim runs out, and it goes on
      log.error({ err: error, trialId: trial.id }, 'a trial failed');
      const code = error instanceof DomainError ? error.code : 'trial.defect';
      return await this.end(trial, { failure: { code, message: messageOf(error) } });
    } catch (second) {
      log.warn({ err: second, trialId: trial.id }, 'a trial could not be given back; its claim runs out');
      return 'storage.unavailable';
    }
  }

  private async end(trial: ClaimedTrial, how: Parameters<TrialStore['finish']>[1]): Promise<string> {
    if (await this.table.finish(trial, how)) trials.inc({ kind: trial.kind, state: how.failure === undefined ? 'completed' : 'failed' });
    return how.failure?.code ?? how.stoppedBy ?? 'ok';
  }

  private async carryOut(trial: ClaimedTrial, signal: AbortSignal): Promise<string> {
    await this.configuration.catchUp(trial.tenant); // so that it has the flows that it calls, and the providers, as they were when it was asked for
    const flow = await this.flowOf(trial);
    const kept = await this.table.kept(trial);
    const running: RunningTrial = {
      trial,
      flow,
      signal,
      progress: { position: trial.position, scanned: trial.scanned, skipped: trial.skipped },
      costs: sumOf(kept.map(({ costs }) => costs)),
      doneEvents: new Set(kept.map(({ eventId }) => eventId)),
      characters: kept.reduce((sum, { characters }) => sum + characters, 0),
    };
    const { sample, eventId } = trial.events;
    if (sample !== null) await this.tryOn(running, [sampleEvent(trial)]);
    else if (eventId !== null) await this.tryOn(running, await this.found(trial, [eventId]));
    else return this.backtest(running);
    return this.end(trial, {});
  }

  private async flowOf({ tenant, flow: name, version, document }: ClaimedTrial): Promise<Stored<FlowDocument>> {
    if (version !== null) return this.configuration.flowVersion(tenant, name, version);
    return { tenant, kind: 'Flow', name, version: 0, document: document as unknown as FlowDocument };
  }

  private async backtest(running: RunningTrial): Promise<string> {
    const { trial, flow, signal } = running;
    const filter = { ...eventsFor(flow.document), ...trial.events.filter };
    const mostLooks = trial.maxEvents * looksPerTriedEvent;
    while (running.doneEvents.size < trial.maxEvents && running.progress.scanned < mostLooks) {
      const page = await this.table.events(
        trial,
        filter,
        running.progress.position,
        Math.min(pageSize, mostLooks - running.progress.scanned),
      );
      if (page.length === 0) break;
      for (let at = 0; at < page.length; at += eventsAtOnce) {
        const some = page.slice(at, at + Math.min(eventsAtOnce, trial.maxEvents - running.doneEvents.size));
        if (some.length === 0) break;
        if (isSpent(running)) return this.end(trial, { stoppedBy: 'cost' });
        signal.throwIfAborted();
        await this.tryOn(
          running,
          await this.found(
            trial,
            some.map(({ id }) => id),
          ),
        );
        running.progress = { ...running.progress, position: some.at(-1)!, scanned: running.progress.scanned + some.length };
        if (!(await this.table.save(trial, running.progress))) return 'interrupted';
      }
    }
    return this.end(trial, {});
  }

  /** The events that are still there. */
  private async found({ tenant }: ClaimedTrial, ids: readonly string[]): Promise<EventReceived[]> {
    const events = await Promise.all(ids.map((id) => this.events.find(tenant, id)));
    return events.filter((event) => event !== undefined);
  }

  /** Tries the flow on events at the same time. An event that has an outcome from an earlier process is not tried again. */
  private async tryOn(running: RunningTrial, events: readonly EventReceived[]): Promise<void> {
    const { trial, flow, doneEvents } = running;
    const open = events.filter(({ eventId }) => !doneEvents.has(eventId));
    const bases = await this.table.baseRuns(
      trial.tenant,
      flow.name,
      open.map(({ eventId }) => eventId),
    );
    const ended = await Promise.allSettled(open.map((event) => this.outcomeOf(running, event, bases.get(event.eventId))));
    for (const end of ended) if (end.status === 'fulfilled') await this.keep(running, end.value);
    const failed = ended.find((end) => end.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
  }

  /** Undefined if the flow neither runs on the event nor has. */
  private async outcomeOf(running: RunningTrial, event: EventReceived, base: BaseRun | undefined): Promise<TrialOutcome | undefined> {
    const { trial, flow, signal } = running;
    if (trial.kind === 'backtest' && !(await this.eventTrial.isMatch(flow, event))) {
      return base === undefined ? undefined : EventTrial.notRun(event, base);
    }
    return this.eventTrial.run({ trial, flow, event, base, signal });
  }

  private async keep(running: RunningTrial, outcome: TrialOutcome | undefined): Promise<void> {
    const { trial, doneEvents } = running;
    if (outcome === undefined) {
      running.progress = { ...running.progress, skipped: running.progress.skipped + 1 };
      return;
    }
    const characters = outcome.steps === null ? 0 : JSON.stringify(outcome.steps).length;
    const isFull = running.characters + characters > mostCharacters;
    await this.table.keep(trial, doneEvents.size, isFull ? withoutSteps(outcome) : outcome);
    if (!isFull) running.characters += characters;
    running.costs = sumOf([running.costs, outcome.costs]);
    doneEvents.add(outcome.eventId);
    outcomes.inc({ kind: trial.kind, change: outcome.change });
  }
}

function withoutSteps(outcome: TrialOutcome): TrialOutcome {
  const { obstacle } = outcome;
  return { ...outcome, steps: null, obstacle: obstacle === null || obstacle === 'waits' ? 'tooLarge' : obstacle };
}

function isSpent({ trial: { maxCost }, costs }: RunningTrial): boolean {
  return maxCost !== null && (costs[maxCost.currency] ?? 0) >= maxCost.nanos;
}

/** An event that never came. */
function sampleEvent({ tenant, events: { sample }, askedAt }: ClaimedTrial): EventReceived {
  const { type, source, customer, data } = sample!;
  const at = new Date(askedAt).toISOString();
  return {
    tenant,
    eventId: 'evt_sample',
    source,
    customer,
    type,
    lane: 'low',
    providerEventId: null,
    occurredAt: at,
    receivedAt: at,
    contentType: 'application/json',
    body: JSON.stringify(data),
  };
}
