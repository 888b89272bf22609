import { DomainError, failureReason, viewOf } from '#libs/contracts';
import type { EventReceived, EventView, PlannedDelivery, StepKind } from '#libs/contracts';
import type { Json } from '#libs/json';
import { ModelOutputInvalid } from '#libs/models';
import type { InferenceObserver } from '#libs/models';
import { Stopwatch, sleep } from '#libs/time';
import { histogram, inSpan, recordedTraceId } from '#libs/tracing';
import type { FailureAction } from './failure-action.js';
import type { CompiledFlow } from './flow.compiler.js';
import { FlowFailed, RunTooLarge, RunWaits, foremost } from './flow.errors.js';
import type { BegunOperation } from './operations.js';
import type {
  CallRecord,
  CompiledStep,
  HandledFailure,
  MakeCall,
  ReviewEnd,
  ReviewRequest,
  StepContext,
  StepFailure,
  StepInput,
  StepOutput,
  StepsResult,
  TriedWork,
  UnsentDelivery,
  WaitEnd,
  WaitRequest,
} from './step.js';
import type { DeliverOutput } from './steps/deliver.step.js';

/** The output of a step, what it stores before the steps within it can act, or a failure that the flow handles. */
export interface StoredStep {
  readonly state: 'began' | 'succeeded' | 'skipped' | 'failed';
  readonly output: Json;
  /** The failure, if the state is `failed`; of a step that succeeded the failure that it fell back from. */
  readonly failure?: StepFailure | null;
}

/** A step that ended, or that begins steps within it, to be stored. */
export interface FinishedStep extends StoredStep {
  /**
   * The path: the id of the step, behind those of the steps around it and the keys of items, `orders/4711/tell`. What a step begins with has its word
   * behind a colon (`route:choice`), and so has a failure that the flow handles (`assess:error`, `orders/4711:error`).
   */
  readonly step: string;
  readonly kind: StepKind;
  readonly inference?: StepOutput['inference'];
  /** Present if a `review` step asked nobody, because a person had decided the same question of an earlier run: the id of that review. */
  readonly reviewId?: string;
  readonly startedAt: Date;
  readonly finishedAt: Date;
}

/** Keeps the outputs and calls of one run's steps. */
export interface StepJournal {
  /** Everything kept, by this journal and those before it; undefined if nothing is kept under this path yet. */
  stored(step: string): StoredStep | undefined;
  /** Keeps the output; it is stored before anything outside the run can act on it. Returns it in the form in which it is read back. */
  keep(finished: FinishedStep): Promise<Json>;
  /** Stores the outputs kept so far, and that the step is about to call out, with the operation if it is one. @throws RunLeaseLost */
  noteCall(step: string, begun?: BegunOperation): Promise<void>;
  /** Notes that the call returned with a failure, so that no result of it is missing. */
  failCall(step: string): void;
  /** The key of {@link StepContext.effectKey}. */
  effectKey(step: string): string;
  /** The time of {@link StepContext.reachedAt}. */
  reachedAt(step: string): Date | undefined;
  /** Keeps one finished request of the call. */
  recordCall(step: string, request: CallRecord): Promise<void>;
  /** The end of the step's wait; undefined if it is not over. Then it is kept, and stored with the other waits of the run when its work ends. */
  wait(step: string, request: WaitRequest): WaitEnd | undefined;
  /** The decision of the step's review; `open`: it is stored, and there is no decision. Undefined: nothing is known to be stored. */
  reviewed(step: string): ReviewEnd | 'open' | undefined;
  /** Keeps a question; it is stored with the waits of the run when its work ends. @throws RunTooLarge */
  ask(step: string, request: ReviewRequest): void;
  /** See {@link StepContext.noteInput}. Default: it is not kept. */
  noteInput?(step: string, input: Json): void;
  /** Events that may end a wait, see {@link StepContext.arrivals}. */
  arrivals(request: WaitRequest, after: EventView | undefined): Promise<readonly EventReceived[]>;
}

export interface FlowResult {
  readonly decision: Json;
  readonly deliveries: PlannedDelivery[];
}

const stepDuration = histogram('millrace_step_duration_seconds', 'Duration of flow steps that ended, by kind and outcome.', {
  kind: 'the kind of step',
  outcome: '`succeeded`, `fellBack`, `skipped`, `waits`, `abandoned` (the process stops), or a code of failures.md',
});

/** The flows that steps can call. */
export interface CalledFlows {
  /** @throws NotFound */
  currentVersion(flow: string): number;
  /** A version that a run has begun to call. */
  compiled(flow: string, version: number): Promise<CompiledFlow>;
}

export interface FlowRunOptions {
  /** Aborted when the claim of the run is lost. */
  readonly signal: AbortSignal;
  /** The same as {@link StepContext.requireClaim}. Default: the claim always holds. */
  readonly requireClaim?: () => void;
  /**
   * The action that follows a failure, as far as the whole run goes, after earlier failures that counted. A failure that gives the run up is one that
   * `onError` and `onFailure` handle.
   */
  readonly actionAfter: (error: unknown, failures: number) => FailureAction;
  /** Earlier failures of the run that counted; default: 0. */
  readonly failures?: number;
  readonly flows: CalledFlows;
  /** Watches the text of the step that the flow names in `onRequest.draft`. Default: nobody does. */
  readonly observer?: InferenceObserver | undefined;
  /** The data of the event, as expressions see it; default: the parsed body. */
  readonly data?: Json;
}

/** The end of a step, with the deliveries of the steps within it. */
interface StepResult {
  readonly output: Json;
  readonly deliveries: readonly UnsentDelivery[];
}

/** The end of a step that is not stored yet. */
interface StepEnd extends StepOutput {
  readonly state: 'succeeded' | 'skipped';
  readonly failure?: StepFailure;
}

/** The place where steps stand. */
interface StepPlace {
  /** The path of the steps around with a slash; empty for the steps of the flow itself. */
  readonly prefix: string;
  /** Number of flows that call each other around the steps. */
  readonly calls: number;
}

/** A list of steps, and where it stands. */
interface StepList extends StepPlace {
  readonly steps: readonly CompiledStep[];
  /** The input of the step around it. */
  readonly scope: StepInput;
}

/** A step in its place. */
interface PlacedStep {
  readonly step: CompiledStep;
  readonly input: StepInput;
  readonly path: string;
  readonly calls: number;
}

/** Work whose failure is stored. */
interface Attempt {
  readonly kind: StepKind | ((error: unknown) => StepKind);
  readonly path: string;
  /** True if a failure that may pass ends the work, too. */
  readonly isLastTry: boolean;
  /** Makes what is stored with the failure; default: nothing. */
  readonly note?: (error: unknown) => object | Json;
}

/** The place of a failure that gives a run up, and the earlier failures of the run that counted. */
interface FailureOrigin {
  /** Null if it comes from no step, such as from the expression of the decision. */
  readonly at: Pick<FinishedStep, 'step' | 'kind'> | null;
  readonly failures: number;
}

/** The path of the steps that run when a run is given up. No step has this name, because names have no capitals. */
const failurePath = 'onFailure';

/** The most flows that call one another, the first one not counted. */
const deepestCalls = 5;
/** The most deliveries of a run. */
const mostDeliveries = 1_000;

/**
 * Runs a flow's steps in the order of their needs, independent ones at once, each from the stored outputs of those before it. A step that has steps
 * within it runs them by its context, so whatever ends or breaks off one of them passes through the steps around it, unless the flow handles it: only
 * failures that would give the run up are handled.
 */
export class FlowRunner {
  /** True once something could not be stored. What is missing then is not known, so no failure is handled any more. */
  private isBroken = false;
  /** Failures of the run that its steps of `onFailure` do not answer for. */
  private forgivenFailures = 0;
  private readonly failedSteps = new WeakMap<object, Pick<FinishedStep, 'step' | 'kind'>>();

  constructor(
    private readonly flow: CompiledFlow,
    private readonly event: EventReceived,
    private readonly journal: StepJournal,
    private readonly options: FlowRunOptions,
  ) {}

  /**
   * @throws DomainError of the step that failed; if several failed, preferably one that no further try can mend
   * @throws RunWaits if none failed, and the steps that have not ended wait or need one that does; the journal has the waits
   * @throws FlowFailed if the run is given up, and the steps of `onFailure` have ended
   */
  async run(): Promise<FlowResult> {
    const { data } = this.options;
    const event = data === undefined ? viewOf(this.event) : { ...viewOf(this.event), data };
    const { failureSteps } = this.flow;
    if (failureSteps === undefined) return this.decide(event);
    const kindOf = (error: unknown): StepKind => this.failedStep(error)?.kind ?? this.flow.steps.at(-1)!.kind;
    const origin = (error: unknown): FailureOrigin => ({ at: this.failedStep(error) ?? null, failures: this.options.failures ?? 0 });
    const tried = await this.attempt({ kind: kindOf, path: failurePath, isLastTry: false, note: origin }, () => this.decide(event));
    if ('result' in tried) return tried.result;
    return this.fail(event, failureSteps, tried.failure);
  }

  private async decide(event: EventView): Promise<FlowResult> {
    await this.flow.condition?.evaluate({ event }); // its value was used when the run was planned; here it only has to be evaluable
    return bounded(await this.runFlow(this.flow, event, { prefix: '', calls: 0 }));
  }

  /** Runs the steps for a run that is given up. They have tries of their own. A failure of theirs is told with the one that gives the run up. */
  private async fail(event: EventView, steps: readonly CompiledStep[], { code, message }: StepFailure): Promise<never> {
    const { at: origin, failures } = this.journal.stored(`${failurePath}:error`)!.output as unknown as FailureOrigin;
    this.forgivenFailures = failures;
    const error = { code, message };
    const failed = origin === null ? [] : [{ ...origin, failure: error }];
    try {
      const scope = { event, steps: this.endedOutputs(), error };
      const result = await this.runList({ steps, prefix: `${failurePath}/`, scope, calls: 0 });
      const deliveries = withPayloads(result.deliveries, { ...envelopeOf(this.flow, event), error });
      throw new FlowFailed(error, failed, bounded({ deliveries }).deliveries);
    } catch (problem) {
      if (problem instanceof FlowFailed || this.actionWithin(problem) !== 'give-up') throw problem;
      const own = failureReason(problem);
      const at = this.failedStep(problem);
      const both = { code, message: `${message}; its onFailure failed, too (${own.code}): ${own.message}` };
      throw new FlowFailed(both, [...failed, ...(at === undefined ? [] : [{ ...at, failure: own }])], []);
    }
  }

  /** The outputs of the flow's own steps that ended, which are the same whenever the run goes on. */
  private endedOutputs(): Record<string, Json> {
    return Object.fromEntries(
      this.flow.steps.flatMap(({ id }) => {
        const stored = this.journal.stored(id);
        return stored === undefined || stored.state === 'failed' ? [] : [[id, stored.output]];
      }),
    );
  }

  /** The action that follows a rejection of `run`. */
  actionAfter(error: unknown): FailureAction {
    return this.options.actionAfter(error, (this.options.failures ?? 0) - this.forgivenFailures);
  }

  /** The action that follows a failure, as far as the flow may handle it. */
  private actionWithin(error: unknown): FailureAction {
    const passes = this.isBroken || this.options.signal.aborted || error instanceof RunWaits;
    return passes ? 'wait' : this.actionAfter(error);
  }

  /** The innermost step that a rejection of `run` comes from; undefined if it comes from none. */
  failedStep(error: unknown): Pick<FinishedStep, 'step' | 'kind'> | undefined {
    return typeof error === 'object' && error !== null ? this.failedSteps.get(error) : undefined;
  }

  private async runFlow(flow: CompiledFlow, event: EventView, place: StepPlace): Promise<FlowResult> {
    return conclude(flow, event, await this.runList({ ...place, steps: flow.steps, scope: { event, steps: {} } }));
  }

  private async runList(list: StepList): Promise<StepsResult> {
    const results = new Map<string, Promise<StepResult>>();
    for (const step of list.steps) results.set(step.id, this.runAfterNeeds(step, list, results));
    // Steps that have begun are waited for even when another one fails, because their outputs are kept.
    const ended = await Promise.allSettled(results.values());
    const failures = ended.flatMap((end) => (end.status === 'rejected' ? [end.reason as unknown] : []));
    if (failures.length > 0) throw foremost(failures);
    const outputs = await outputsOf(results, [...results.keys()]);
    const last = list.steps.findLast(({ kind }) => kind !== 'deliver');
    return {
      outputs,
      output: last === undefined ? null : outputs[last.id]!,
      deliveries: ended.flatMap((end) => (end.status === 'fulfilled' ? end.value.deliveries : [])),
    };
  }

  private async runAfterNeeds(step: CompiledStep, list: StepList, results: ReadonlyMap<string, Promise<StepResult>>): Promise<StepResult> {
    await outputsOf(results, step.needs);
    this.options.signal.throwIfAborted();
    const path = list.prefix + step.id;
    const stored = this.journal.stored(path);
    const steps = { ...list.scope.steps, ...(await outputsOf(results, step.reads)) };
    const placed = { step, path, input: { ...list.scope, steps }, calls: list.calls };
    if (stored !== undefined) return { output: stored.output, deliveries: await this.deliveriesOfEnded(placed, stored) };
    return inSpan(`step ${path}`, { attributes: { 'millrace.step.kind': step.kind } }, () => this.runStep(placed));
  }

  /** All steps within a step that ended have ended, too; they only have to tell their deliveries. */
  private async deliveriesOfEnded(placed: PlacedStep, { state, output, failure }: StoredStep): Promise<readonly UnsentDelivery[]> {
    const { step, path } = placed;
    if (state === 'skipped') return [];
    if (failure != null) return step.onError?.steps === undefined ? [] : (await this.fallBack(placed, this.handled(path)!)).deliveries;
    return step.hasSteps ? ((await this.work(placed)).deliveries ?? []) : ownDelivery(step, path, output);
  }

  private async runStep(placed: PlacedStep): Promise<StepResult> {
    const { step, path } = placed;
    const { kind } = step;
    const watch = new Stopwatch();
    const observe = stepDuration.startTimer({ kind });
    try {
      const { deliveries = [], ...end } = await this.endOf(placed);
      const output = await this.keep({ step: path, kind, ...end, ...watch.stop() });
      observe({ outcome: end.failure === undefined ? end.state : 'fellBack' }, recordedTraceId());
      return { output, deliveries: end.failure === undefined ? [...deliveries, ...ownDelivery(step, path, output)] : deliveries };
    } catch (error) {
      observe({ outcome: this.outcomeOf(error) }, recordedTraceId());
      if (typeof error === 'object' && error !== null && !this.failedSteps.has(error)) this.failedSteps.set(error, { step: path, kind });
      throw error;
    }
  }

  private outcomeOf(error: unknown): string {
    if (error instanceof RunWaits) return 'waits';
    if (error instanceof DomainError) return error.code;
    return this.options.signal.aborted ? 'abandoned' : 'record.defect';
  }

  private async endOf(placed: PlacedStep): Promise<StepEnd> {
    const { step, path } = placed;
    const { onError } = step;
    if (onError === undefined) return this.tryOnce(placed);
    if (onError.value === undefined && onError.steps === undefined) return this.tryAgain(placed);
    const attempt = { kind: step.kind, path, isLastTry: onError.retry !== undefined, note: refusedOutput };
    const tried = await this.attempt(attempt, () => this.tryAgain(placed));
    if ('result' in tried) return tried.result;
    const { code, message } = tried.failure;
    return { state: 'succeeded', ...(await this.fallBack(placed, tried.failure)), failure: { code, message } };
  }

  private async tryAgain(placed: PlacedStep): Promise<StepEnd> {
    const { times, delayMs } = placed.step.onError?.retry ?? { times: 0, delayMs: 0 };
    for (let left = times; ; left -= 1) {
      try {
        return await this.tryOnce(placed);
      } catch (error) {
        if (left === 0 || this.actionWithin(error) === 'wait') throw error;
        await sleep(delayMs, this.options.signal);
      }
    }
  }

  private async tryOnce(placed: PlacedStep): Promise<StepEnd> {
    const { step, input } = placed;
    const wanted = step.condition === undefined || (await step.condition.evaluate(input)) === true;
    if (!wanted) return { state: 'skipped', output: null };
    const { output, inference, deliveries } = await this.work(placed);
    return { state: 'succeeded', output, ...(inference && { inference }), ...(deliveries && { deliveries }) };
  }

  private async fallBack({ step, input, path, calls }: PlacedStep, error: HandledFailure): Promise<StepResult> {
    const scope = { ...input, error: { ...error } };
    const { value, steps = [] } = step.onError!;
    if (value !== undefined) return { output: (await value.evaluate(scope)) ?? null, deliveries: [] };
    const { output, deliveries } = await this.runList({ steps, prefix: `${path}/onError/`, scope, calls });
    return { output, deliveries };
  }

  private work({ step, input, path, calls }: PlacedStep): Promise<StepOutput> {
    const { signal, requireClaim = () => undefined, flows, observer } = this.options;
    const context: StepContext = {
      path,
      lane: this.event.lane,
      signal,
      requireClaim,
      call: (make, begun) => this.callFrom(path, make, begun),
      observer: calls === 0 && step.id === this.flow.draft ? observer : undefined, // ids are unique within a flow
      noteInput: (asked) => this.journal.noteInput?.(path, asked),
      effectKey: () => this.journal.effectKey(path),
      reachedAt: () => this.journal.reachedAt(path),
      begin: (what, make) => this.begin({ kind: step.kind, path: `${path}:${what}` }, make),
      wait: (request) => this.waitAt(path, request),
      review: (make) => this.reviewAt(path, make),
      arrivals: async (request, after) => (await this.journal.arrivals(request, after)).map(viewOf),
      runSteps: (steps, { under, names } = {}) => {
        const prefix = under === undefined ? `${path}/` : `${path}/${under}/`;
        return this.runList({ steps, prefix, scope: { ...input, ...names }, calls });
      },
      attempt: (under, run) => this.attempt({ kind: step.kind, path: `${path}/${under}`, isLastTry: false }, run),
      currentVersion: (flow) => flows.currentVersion(flow),
      runFlow: async (flow, version, data) => {
        if (calls >= deepestCalls) throw new RunTooLarge(`the step ${path} calls flows more than ${deepestCalls} deep`);
        const place = { prefix: `${path}/`, calls: calls + 1 };
        const { decision, deliveries } = await this.runFlow(await flows.compiled(flow, version), { ...input.event, data }, place);
        return { output: decision, deliveries };
      },
    };
    return step.work(input, context);
  }

  private async attempt<T>({ kind, path, isLastTry, note }: Attempt, work: () => Promise<T>): Promise<TriedWork<T>> {
    const stored = this.handled(path);
    if (stored !== undefined) return { failure: stored };
    const watch = new Stopwatch();
    try {
      return { result: await work() };
    } catch (error) {
      const action = this.actionWithin(error);
      if (action === 'wait' || (action === 'retry' && !isLastTry)) throw error;
      const { code, message } = failureReason(error);
      const failure = { code, message: message.replaceAll('\0', '') }; // Postgres stores none
      const of = typeof kind === 'string' ? kind : kind(error);
      const noted = (note?.(error) ?? null) as Json;
      const output = await this.keep({ step: `${path}:error`, kind: of, state: 'failed', output: noted, failure, ...watch.stop() });
      return { failure: { ...failure, output } };
    }
  }

  /** The stored failure of the work under a path; undefined if there is none. */
  private handled(path: string): HandledFailure | undefined {
    const { failure, output = null } = this.journal.stored(`${path}:error`) ?? {};
    return failure == null ? undefined : { code: failure.code, message: failure.message, output };
  }

  private async keep(finished: FinishedStep): Promise<Json> {
    return this.storing(this.journal.keep(finished));
  }

  private async storing<T>(stored: Promise<T>): Promise<T> {
    try {
      return await stored;
    } catch (error) {
      this.isBroken = true;
      throw error;
    }
  }

  private async begin<T extends Json | undefined>({ kind, path }: { kind: StepKind; path: string }, make: () => Promise<T>): Promise<T> {
    const stored = this.journal.stored(path);
    if (stored !== undefined) return stored.output as T;
    const watch = new Stopwatch();
    const output = await make();
    if (output === undefined) return output;
    return (await this.keep({ step: path, kind, state: 'began', output, ...watch.stop() })) as T;
  }

  private waitAt(path: string, request: WaitRequest): WaitEnd {
    const end = this.journal.wait(path, request);
    if (end === undefined) throw new RunWaits(path);
    return end;
  }

  private async reviewAt(path: string, make: () => Promise<ReviewRequest>): Promise<ReviewEnd> {
    const end = this.journal.reviewed(path);
    if (end === undefined) this.journal.ask(path, await make());
    else if (end !== 'open') return end;
    throw new RunWaits(path);
  }

  private async callFrom<T>(path: string, make: MakeCall<T>, begun: BegunOperation | undefined): Promise<T> {
    await this.storing(this.journal.noteCall(path, begun));
    try {
      return await make((request) => this.storing(this.journal.recordCall(path, request)));
    } catch (error) {
      if (error instanceof DomainError && !this.options.signal.aborted) this.journal.failCall(path);
      throw error;
    }
  }
}

/** The output of a model that a gate refused, for a fallback that shows it to a person. */
function refusedOutput(error: unknown): Json {
  return error instanceof ModelOutputInvalid ? (error.output ?? null) : null;
}

/** The decision of a flow whose steps ended, and its deliveries with their payloads. */
async function conclude(flow: CompiledFlow, event: EventView, { outputs, output, deliveries }: StepsResult): Promise<FlowResult> {
  const { decision: expression } = flow;
  const decision = expression === undefined ? output : ((await expression.evaluate({ event, steps: outputs })) ?? null);
  return { decision, deliveries: withPayloads(deliveries, { ...envelopeOf(flow, event), decision }) };
}

/** The payload of deliveries that have none of their own, without the result of the flow. */
function envelopeOf({ name: flow }: CompiledFlow, { id, type, source, customer, occurredAt }: EventView): Record<string, Json> {
  return { eventId: id, type, source, customer, occurredAt, flow };
}

function withPayloads(deliveries: readonly UnsentDelivery[], envelope: Json): PlannedDelivery[] {
  return deliveries.map(({ payload, ...delivery }) => ({ ...delivery, payload: payload === undefined ? envelope : payload }));
}

/** @throws RunTooLarge */
function bounded<T extends Pick<FlowResult, 'deliveries'>>(result: T): T {
  const { length } = result.deliveries;
  if (length <= mostDeliveries) return result;
  throw new RunTooLarge(`it plans ${length} deliveries; ${mostDeliveries} are the most`);
}

/** The delivery that the step planned itself. */
function ownDelivery({ kind }: CompiledStep, path: string, output: Json): UnsentDelivery[] {
  if (kind !== 'deliver' || output === null) return []; // null if the step was skipped
  return [{ step: path, ...(output as DeliverOutput) }];
}

async function outputsOf(results: ReadonlyMap<string, Promise<StepResult>>, steps: readonly string[]): Promise<Record<string, Json>> {
  const values = await Promise.all(steps.map(async (step) => [step, (await results.get(step)!).output] as const));
  return Object.fromEntries(values);
}
