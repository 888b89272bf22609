import { Injectable } from '@nestjs/common';
import { NotFound, failureReason } from '#libs/contracts';
import type { EventReceived, FailureCode, FailureReason, FlowDocument } from '#libs/contracts';
import { isJobNotice } from '#libs/decisions';
import { newDeliveries } from '#libs/deliveries';
import { FlowCompiler, excludedBy, meetsCondition, onlyStep, tryFlow } from '#libs/flows';
import type { CalledFlows, CompiledFlow, FinishedStep, FlowServices, StoredStep, Trial, TrialOptions } from '#libs/flows';
import { parseStoredJson } from '#libs/json';
import type { Json } from '#libs/json';
import { ModelGateway } from '#libs/models';
import { Configuration } from '#libs/persistence';
import type { Stored } from '#libs/persistence';
import { Stopwatch, latencyMs, sleep, startTimer } from '#libs/time';
import { OperationService } from '../operations/operation.service.js';
import { RunWaitTable, likePattern } from '../waits/run-wait.table.js';
import { differencesBetween, isSameValue } from './difference.js';
import { StoredDecisions } from './stored.decisions.js';
import { TriedServices } from './tried.services.js';
import { TrialTooSlow } from './trial.errors.js';
import { TrialStore } from './trial.store.js';
import type { BaseRun, ClaimedTrial, Costs, DecidedReview, TrialChange, TrialObstacle, TrialOutcome, TriedStep } from './trial.store.js';

/** The longest that a flow may be at work on one event. */
const longestEventMs = 120_000;
/** Failures that pass by themselves: the flow goes on after it, if that is not for too long. */
const passing: readonly FailureCode[] = ['model.limited', 'operation.limited', 'evaluation.busy'];
const betweenTriesMs = 5_000;
const longestPassingMs = 60_000;
/** The most characters of the results of one event that are kept. */
const mostCharacters = 1_048_576;

/** One event of a trial. */
export interface EventToTry {
  readonly trial: ClaimedTrial;
  readonly flow: Stored<FlowDocument>;
  readonly event: EventReceived;
  readonly base: BaseRun | undefined;
  readonly signal: AbortSignal;
}

/** Carries out a flow on one event without effects, and compares what it does with what was decided. */
@Injectable()
export class EventTrial {
  private readonly services: FlowServices;

  constructor(
    private readonly table: TrialStore,
    private readonly waits: RunWaitTable,
    private readonly configuration: Configuration,
    models: ModelGateway,
    operations: OperationService,
  ) {
    this.services = { models, operations };
  }

  /** True if a run of the flow would begin on the event, also one that fails at once because the flow cannot be read. Of a request only its flow counts: `on` is not asked. */
  async isMatch(flow: Stored<FlowDocument>, event: EventReceived): Promise<boolean> {
    if (event.request !== undefined) return event.request.flow === flow.name;
    if (excludedBy(flow.document, event) !== undefined) return false;
    return meetsCondition(flow.document, event, () => new FlowCompiler(this.services).compile(flow));
  }

  /** @throws a defect, or the reason of the signal */
  async run(toTry: EventToTry): Promise<TrialOutcome> {
    const { trial, flow, event, base, signal } = toTry;
    const isMatch = await this.isMatch(flow, event);
    const stored = await this.storedResults(toTry);
    const services = new TriedServices(this.services, (step) => stored.get(step));
    const decisions = new StoredDecisions((steps) => this.decidedReviews(toTry, steps));
    const watch = new Stopwatch();
    const costs = new StepCosts();
    const inputs = new Map<string, Json>();
    const options: TrialOptions = {
      onCall: (step, request) => request.kind === 'model' && costs.add(step, request),
      onInput: (step, input) => inputs.set(step, input),
      onWait: () => (services.hasWaited = true),
      known: (asked) => decisions.of(asked),
      arrivals: ({ types = [], dueAt }, after) =>
        this.waits.arrivals(event, { types: types.map(likePattern), dueAt: dueAfter(event, dueAt, watch) }, after),
    };
    const tried = await within(signal, (limited) =>
      this.tried(toTry, services, { ...options, results: resultsBefore(trial, stored) }, { watch, signal: limited }),
    );
    const { durationMs } = watch.stop();
    const deliveries = await this.deliveriesOf(toTry, tried);
    const steps = keptSteps(tried, { inputs, costs, decisions, actedAt: services.actedAt });
    const failure = deliveries.failure ?? tried.failure;
    const decision = failure === undefined ? tried.decided?.decision : undefined;
    const before = trial.step === null ? undefined : stored.get(trial.step);
    const compared =
      trial.step === null
        ? compare({ decision, failure, deliveries: deliveries.planned }, base)
        : compareStep({ decision, failure }, before);
    return {
      eventId: event.eventId,
      customer: event.customer,
      receivedAt: event.receivedAt,
      isMatch,
      ...(decision !== undefined && { decision }),
      ...(failure !== undefined && { failure }),
      deliveries: deliveries.planned,
      steps,
      costs: costs.total(),
      durationMs,
      ...baseOf(base),
      ...compared,
      ...decisions.counts,
      obstacle: obstacleTo({
        trial,
        isMatch,
        isFailed: failure !== undefined && !(services.hasWaited && failure.code === 'trial.actsOutside'),
        hasWaited: services.hasWaited,
        hasActed: services.actedAt !== undefined,
        hasSteps: steps !== null,
      }),
    };
  }

  /** The outcome of an event that the flow does not run on, although a run of it is stored. */
  static notRun(event: EventReceived, base: BaseRun): TrialOutcome {
    const { kept, count } = differencesBetween(comparable(base.decision, base.deliveries), {});
    return {
      eventId: event.eventId,
      customer: event.customer,
      receivedAt: event.receivedAt,
      change: 'notRun',
      isMatch: false,
      deliveries: [],
      steps: [],
      costs: {},
      durationMs: null,
      ...baseOf(base),
      differences: kept,
      differenceCount: count,
      obstacle: 'notRun',
      storedReviews: 0,
      expiredReviews: 0,
    };
  }

  /** Goes on after what passes by itself, with the results that it has. */
  private async tried(
    { trial, flow, event }: EventToTry,
    services: TriedServices,
    options: TrialOptions & { readonly results: Map<string, StoredStep> },
    { watch, signal }: { readonly watch: Stopwatch; readonly signal: AbortSignal },
  ): Promise<Trial> {
    const compiler = new FlowCompiler(services);
    let compiled: CompiledFlow;
    try {
      compiled = compiler.compile(flow);
    } catch (error) {
      return { steps: [], deliveries: [], failure: failureReason(error) };
    }
    if (trial.step !== null) compiled = onlyStep(compiled, trial.step);
    const steps: FinishedStep[] = [];
    let stepsBeforeWait: number | undefined;
    for (;;) {
      const tried = await tryFlow(compiled, { ...event, lane: 'low' }, signal, {
        ...options,
        flows: this.flowsFor(trial.tenant, compiler),
      });
      stepsBeforeWait ??= tried.stepsBeforeWait === undefined ? undefined : steps.length + tried.stepsBeforeWait;
      steps.push(...tried.steps);
      if (tried.failure === undefined || !isPassing(tried.failure) || watch.stop().durationMs > longestPassingMs)
        return { ...tried, steps, ...(stepsBeforeWait !== undefined && { stepsBeforeWait }) };
      for (const finished of tried.steps) options.results.set(finished.step, finished);
      await sleep(betweenTriesMs, signal);
    }
  }

  private flowsFor(tenant: string, compiler: FlowCompiler): CalledFlows {
    return {
      currentVersion: (name) => {
        const found = this.configuration.flows(tenant).find((one) => one.name === name);
        if (found === undefined) throw new NotFound('flow', name);
        return found.version;
      },
      compiled: async (name, version) => compiler.compile(await this.configuration.flowVersion(tenant, name, version)),
    };
  }

  /** The results of the run that it is compared with: those of steps that act and, if only one step is tried, those of all others. */
  private async storedResults({ trial, base }: EventToTry): Promise<Map<string, StoredStep>> {
    if (base === undefined) return new Map();
    const rows = await this.table.storedOutputs(trial.tenant, base.id, trial.step !== null);
    return new Map(rows.map(({ step, state, output }) => [step, { state, output }]));
  }

  private decidedReviews({ trial, base }: EventToTry, steps: readonly string[]): Promise<DecidedReview[]> {
    return base === undefined ? Promise.resolve([]) : this.table.decidedReviews(trial.tenant, base.id, steps);
  }

  /** The deliveries as they would be sent. One of which that cannot be told would give the run up. */
  private async deliveriesOf(
    { trial, flow, event }: EventToTry,
    { deliveries }: Trial,
  ): Promise<{ planned: TrialOutcome['deliveries']; failure?: FailureReason }> {
    const deciding = { ...event, runId: trial.id, flow: flow.name, generation: 0, eventReceivedAt: event.receivedAt };
    try {
      const sent = await newDeliveries(deciding, deliveries, undefined, this.configuration);
      const payloads = new Map(sent.map(({ step, payload }) => [step, parseStoredJson(payload)]));
      return {
        planned: deliveries.map((delivery) => {
          const payload = payloads.get(delivery.step) ?? delivery.payload;
          return { ...delivery, payload, ...(!isSameValue(payload, delivery.payload) && { planned: delivery.payload }) };
        }),
      };
    } catch (error) {
      return { planned: deliveries, failure: failureReason(error) };
    }
  }
}

/** Ends the trial of an event that takes too long. That it does is a result, too. */
async function within(signal: AbortSignal, work: (limited: AbortSignal) => Promise<Trial>): Promise<Trial> {
  const limit = new AbortController();
  const tooSlow = new TrialTooSlow(longestEventMs);
  const timer = startTimer(() => limit.abort(tooSlow), longestEventMs);
  try {
    return await work(AbortSignal.any([signal, limit.signal]));
  } catch (error) {
    if (error !== tooSlow) throw error;
    return { steps: [], deliveries: [], failure: failureReason(tooSlow) };
  } finally {
    clearTimeout(timer);
  }
}

/** The time until which a wait for an event would have lasted, had the run begun when its event came. */
function dueAfter(event: EventReceived, dueAt: Date, watch: Stopwatch): Date {
  const waitsMs = latencyMs(watch.stop().finishedAt.getTime(), dueAt.getTime());
  return new Date(Date.parse(event.receivedAt) + Math.max(0, waitsMs));
}

function isPassing({ code }: FailureReason): boolean {
  return (passing as readonly string[]).includes(code);
}

/** The results that stand before the flow begins: outputs that are given and, if only one step is tried, those of all others. */
function resultsBefore({ step: only, outputs }: ClaimedTrial, stored: ReadonlyMap<string, StoredStep>): Map<string, StoredStep> {
  const isOther = (path: string): boolean => path !== only && !path.startsWith(`${only}/`) && !path.startsWith(`${only}:`);
  const results = new Map(only === null ? [] : [...stored].filter(([path]) => isOther(path)));
  for (const [step, output] of Object.entries(outputs)) results.set(step, { state: 'succeeded', output });
  return results;
}

/** The costs of one event's calls of models. */
class StepCosts {
  private readonly bySteps = new Map<string, Record<string, number>>();

  add(step: string, { costNanos, currency }: { readonly costNanos: number | null; readonly currency: string | null }): void {
    if (costNanos === null || currency === null) return;
    const costs = this.bySteps.get(step) ?? {};
    costs[currency] = (costs[currency] ?? 0) + costNanos;
    this.bySteps.set(step, costs);
  }

  of(step: string): Costs {
    return this.bySteps.get(step) ?? {};
  }

  total(): Costs {
    return sumOf([...this.bySteps.values()]);
  }
}

export function sumOf(all: readonly Costs[]): Costs {
  const sum: Record<string, number> = {};
  for (const costs of all) for (const [currency, nanos] of Object.entries(costs)) sum[currency] = (sum[currency] ?? 0) + nanos;
  return sum;
}

/** Null if they are too large to be kept. */
function keptSteps(
  { steps: finished, stepsBeforeWait = 0 }: Trial,
  {
    inputs,
    costs,
    decisions,
    actedAt,
  }: {
    readonly inputs: ReadonlyMap<string, Json>;
    readonly costs: StepCosts;
    readonly decisions: StoredDecisions;
    readonly actedAt: string | undefined;
  },
): TriedStep[] | null {
  const steps = finished.map(({ step, kind, state, output, failure, inference, startedAt, finishedAt }, at): TriedStep => {
    const input = inputs.get(step);
    return {
      id: step,
      kind,
      state,
      ...(input !== undefined && { input }),
      output,
      ...(failure && { failure }),
      ...(inference && { inference }),
      startedAt: startedAt.toISOString(),
      finishedAt: finishedAt.toISOString(),
      costs: costs.of(step),
      ...(at < stepsBeforeWait && { beforeWait: true }),
      ...(step === actedAt && { acts: true }),
      ...decisions.sourceOf(step),
    };
  });
  return JSON.stringify(steps).length > mostCharacters ? null : steps;
}

function baseOf(base: BaseRun | undefined): Pick<TrialOutcome, 'baseRunId' | 'baseCosts' | 'baseDurationMs'> {
  return { baseRunId: base?.id ?? null, baseCosts: base?.costs ?? {}, baseDurationMs: base?.durationMs ?? null };
}

type Compared = Pick<TrialOutcome, 'change' | 'differences' | 'differenceCount'>;

function nothingCompared(failure: FailureReason | undefined): Compared {
  return { change: failure === undefined ? 'new' : 'failed', differences: [], differenceCount: 0 };
}

/** A step that is tried alone is compared with what it stored. */
function compareStep(
  { decision, failure }: { decision: Json | undefined; failure: FailureReason | undefined },
  before: StoredStep | undefined,
): Compared {
  if (failure !== undefined || before === undefined) return nothingCompared(failure);
  const { kept, count } = differencesBetween({ output: before.output }, { output: decision! });
  return { change: count === 0 ? 'same' : 'different', differences: kept, differenceCount: count };
}

/** A failure with the code that the stored run has, too, is the same. */
function compare(
  {
    decision,
    failure,
    deliveries,
  }: { decision: Json | undefined; failure: FailureReason | undefined; deliveries: TrialOutcome['deliveries'] },
  base: BaseRun | undefined,
): Compared {
  if (base === undefined) return nothingCompared(failure);
  if (failure !== undefined && base.state === 'failed' && base.errorCode === failure.code)
    return { change: 'same', differences: [], differenceCount: 0 };
  const before = base.state === 'failed' ? {} : comparable(base.decision, base.deliveries);
  const after = failure === undefined ? comparable(decision!, deliveries) : {};
  const { kept, count } = differencesBetween(before, after);
  const change: TrialChange = failure !== undefined ? 'failed' : base.state === 'failed' ? 'recovered' : count === 0 ? 'same' : 'different';
  return { change, differences: kept, differenceCount: count };
}

/** The decision and the payloads of deliveries by step, without what tells the caller of a job about its end. A payload that has the decision, as the one by default, does not tell its differences again. */
function comparable(decision: Json, deliveries: TrialOutcome['deliveries']): Json {
  const sent = deliveries
    .filter((delivery) => !isJobNotice(delivery))
    .map(({ step, destination, payload }) => [`${step} to ${destination}`, withoutDecision(payload, decision)] as const);
  return { decision, ...(sent.length > 0 && { deliveries: Object.fromEntries(sent) }) };
}

function withoutDecision(payload: Json, decision: Json): Json {
  if (typeof payload !== 'object' || payload === null || Array.isArray(payload)) return payload;
  const { decision: told, ...rest } = payload as { [name: string]: Json };
  return told !== undefined && isSameValue(told, decision) ? rest : payload;
}

interface Circumstances {
  readonly trial: ClaimedTrial;
  readonly isMatch: boolean;
  readonly isFailed: boolean;
  readonly hasWaited: boolean;
  readonly hasActed: boolean;
  readonly hasSteps: boolean;
}

function obstacleTo({ trial, isMatch, isFailed, hasWaited, hasActed, hasSteps }: Circumstances): TrialObstacle | null {
  if (trial.step !== null) return 'part';
  if (trial.events.sample !== null) return 'sample';
  if (trial.version === null) return 'document';
  if (!isMatch) return 'notRun';
  if (isFailed) return 'failed';
  if (hasActed) return 'acts';
  if (Object.keys(trial.outputs).length > 0) return 'givenOutputs';
  if (!hasSteps) return 'tooLarge';
  return hasWaited ? 'waits' : null;
}
