import { DomainError } from '#libs/contracts';
import type { EventReceived, PlannedDelivery, StepKind } from '#libs/contracts';
import type { Json } from '#libs/json';
import { Stopwatch } from '#libs/time';
import { histogram, inSpan, recordedTraceId } from '#libs/tracing';
import { viewOf } from './event.view.js';
import type { EventView } from './event.view.js';
import { RunWaits } from './flow.errors.js';
import type { CompiledFlow } from './flow.compiler.js';
import type {
  CallRecord,
  CompiledStep,
  MakeCall,
  StepContext,
  StepInput,
  StepOutput,
  StepsResult,
  UnsentDelivery,
  WaitEnd,
  WaitRequest,
} from './step.js';
import type { DeliverOutput } from './steps/deliver.step.js';

/** The output of a step, or what it stores before the steps within it can act. */
export interface StoredStep {
  readonly state: 'began' | 'succeeded' | 'skipped';
  readonly output: Json;
}

/** A step that ended, or that begins steps within it, to be stored. */
export interface FinishedStep extends StoredStep {
  /** The id of the step, behind those of the steps around it: `route/tell`. What a step begins with has its word behind a colon: `route:choice`. */
  readonly step: string;
  readonly kind: StepKind;
  readonly inference?: StepOutput['inference'];
  readonly startedAt: Date;
  readonly finishedAt: Date;
}

/** Keeps the outputs and calls of one run's steps. */
export interface StepJournal {
  /** Undefined if nothing is stored under this name yet. */
  stored(step: string): StoredStep | undefined;
  /** Keeps the output; it is stored before anything outside the run can act on it. Returns it in the form in which it is read back. */
  keep(finished: FinishedStep): Promise<Json>;
  /** Stores the outputs kept so far, and that the step is about to call out. @throws RunLeaseLost */
  noteCall(step: string): Promise<void>;
  /** Notes that the call returned with a failure, so that no result of it is missing. */
  failCall(step: string): void;
  /** Keeps one finished request of the call. */
  recordCall(step: string, request: CallRecord): Promise<void>;
  /** The end of the step's wait; undefined if it is not over. Then it is kept, and stored with the other waits of the run when its work ends. */
  wait(step: string, request: WaitRequest): WaitEnd | undefined;
}

export interface FlowResult {
  readonly decision: Json;
  readonly deliveries: PlannedDelivery[];
}

const stepDuration = histogram('millrace_step_duration_seconds', 'Duration of flow steps that ended, by kind and outcome.', {
  kind: 'the kind of step',
  outcome: '`succeeded`, `skipped`, `waits`, `abandoned` (the process stops), or a code of failures.md',
});

/** The end of a step, with the deliveries of the steps within it. */
interface StepResult {
  readonly output: Json;
  readonly deliveries: readonly UnsentDelivery[];
}

/** A list of steps, and where it stands. */
interface StepList {
  readonly steps: readonly CompiledStep[];
  /** The path of the step around it with a slash; empty for the steps of the flow itself. */
  readonly prefix: string;
  /** The input of the step around it. */
  readonly scope: StepInput;
}

/**
 * Runs a flow's steps in the order of their needs, independent ones at once, each from the stored outputs of those before it. A step that has steps
 * within it runs them by its context, so whatever ends or breaks off one of them passes through the steps around it.
 */
export class FlowRunner {
  constructor(
    private readonly flow: CompiledFlow,
    private readonly event: EventReceived,
    private readonly journal: StepJournal,
    private readonly signal: AbortSignal,
  ) {}

  /**
   * @throws DomainError of the step that failed; if several failed, preferably one that no further try can mend
   * @throws RunWaits if none failed, and the steps that have not ended wait or need one that does; the journal has the waits
   */
  async run(): Promise<FlowResult> {
    const event = viewOf(this.event);
    await this.flow.condition?.evaluate({ event }); // its value was used when the run was planned; here it only has to be evaluable
    return this.conclude(event, await this.runList({ steps: this.flow.steps, prefix: '', scope: { event, steps: {} } }));
  }

  private async runList(list: StepList): Promise<StepsResult> {
    const results = new Map<string, Promise<StepResult>>();
    for (const step of list.steps) results.set(step.id, this.runAfterNeeds(step, list, results));
    // Steps that have begun are waited for even when another one fails, because their outputs are kept.
    const ended = await Promise.allSettled(results.values());
    const failures = ended.flatMap((end) => (end.status === 'rejected' ? [end.reason as unknown] : []));
    if (failures.length > 0) throw failures.find(isFinal) ?? failures.find((failure) => !(failure instanceof RunWaits)) ?? failures[0];
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
    this.signal.throwIfAborted();
    const path = list.prefix + step.id;
    const stored = this.journal.stored(path);
    if (stored !== undefined && (stored.state === 'skipped' || !step.hasSteps))
      return { output: stored.output, deliveries: deliveriesOf(step, path, stored.output) };
    const steps = { ...list.scope.steps, ...(await outputsOf(results, step.reads)) };
    const input = { ...list.scope, steps };
    // The steps within one that ended have ended, too; they only have to tell their deliveries.
    if (stored !== undefined) return { output: stored.output, deliveries: (await this.workOn(step, input, path)).deliveries ?? [] };
    return inSpan(`step ${path}`, { attributes: { 'millrace.step.kind': step.kind } }, () => this.runStep(step, input, path));
  }

  private async runStep(step: CompiledStep, input: StepInput, path: string): Promise<StepResult> {
    const watch = new Stopwatch();
    const observe = stepDuration.startTimer({ kind: step.kind });
    try {
      const wanted = step.condition === undefined || (await step.condition.evaluate(input)) === true;
      const { output, inference, deliveries = [] }: StepOutput = wanted ? await this.workOn(step, input, path) : { output: null };
      const state = wanted ? 'succeeded' : 'skipped';
      const { startedAt, finishedAt } = watch.stop();
      const kept = await this.journal.keep({
        step: path,
        kind: step.kind,
        state,
        output,
        ...(inference && { inference }),
        startedAt,
        finishedAt,
      });
      observe({ outcome: state }, recordedTraceId());
      return { output: kept, deliveries: [...deliveries, ...deliveriesOf(step, path, kept)] };
    } catch (error) {
      observe({ outcome: this.outcomeOf(error) }, recordedTraceId());
      throw error;
    }
  }

  private outcomeOf(error: unknown): string {
    if (error instanceof RunWaits) return 'waits';
    if (error instanceof DomainError) return error.code;
    return this.signal.aborted ? 'abandoned' : 'record.defect';
  }

  private workOn(step: CompiledStep, input: StepInput, path: string): Promise<StepOutput> {
    const context: StepContext = {
      signal: this.signal,
      call: (make) => this.callFrom(path, make),
      begin: (what, make) => this.begin({ kind: step.kind, path: `${path}:${what}` }, make),
      wait: (request) => this.waitAt(path, request),
      runSteps: (steps) => this.runList({ steps, prefix: `${path}/`, scope: input }),
    };
    return step.work(input, context);
  }

  private async begin<T extends Json>({ kind, path }: { kind: StepKind; path: string }, make: () => Promise<T>): Promise<T> {
    const stored = this.journal.stored(path);
    if (stored !== undefined) return stored.output as T;
    const watch = new Stopwatch();
    const output = await make();
    return (await this.journal.keep({ step: path, kind, state: 'began', output, ...watch.stop() })) as T;
  }

  private waitAt(path: string, request: WaitRequest): WaitEnd {
    const end = this.journal.wait(path, request);
    if (end === undefined) throw new RunWaits(path);
    return end;
  }

  private async callFrom<T>(path: string, make: MakeCall<T>): Promise<T> {
    await this.journal.noteCall(path);
    try {
      return await make((request) => this.journal.recordCall(path, request));
    } catch (error) {
      if (error instanceof DomainError && !this.signal.aborted) this.journal.failCall(path);
      throw error;
    }
  }

  private async conclude(event: EventView, { outputs, output, deliveries }: StepsResult): Promise<FlowResult> {
    const { decision: expression } = this.flow;
    const decision = expression === undefined ? output : ((await expression.evaluate({ event, steps: outputs })) ?? null);
    const planned = deliveries.map(({ payload, ...delivery }): PlannedDelivery => ({
      ...delivery,
      payload: payload === undefined ? this.envelope(event, decision) : payload,
    }));
    return { decision, deliveries: planned };
  }

  /** The payload of a delivery that has none of its own. */
  private envelope({ id, type, source, customer, occurredAt }: EventView, decision: Json): Json {
    return { eventId: id, type, source, customer, occurredAt, flow: this.flow.name, decision };
  }
}

/** The delivery that the step planned itself. */
function deliveriesOf({ kind }: CompiledStep, path: string, output: Json): UnsentDelivery[] {
  if (kind !== 'deliver' || output === null) return []; // null if the step was skipped
  return [{ step: path, ...(output as DeliverOutput) }];
}

async function outputsOf(results: ReadonlyMap<string, Promise<StepResult>>, steps: readonly string[]): Promise<Record<string, Json>> {
  const values = await Promise.all(steps.map(async (step) => [step, (await results.get(step)!).output] as const));
  return Object.fromEntries(values);
}

function isFinal(failure: unknown): boolean {
  return failure instanceof DomainError && failure.outcome !== 'retry';
}
