import { DomainError } from '#libs/contracts';
import type { EventReceived, PlannedDelivery, StepKind } from '#libs/contracts';
import type { Json } from '#libs/json';
import { Stopwatch } from '#libs/time';
import { histogram, inSpan, recordedTraceId } from '#libs/tracing';
import { viewOf } from './event.view.js';
import type { EventView } from './event.view.js';
import type { CompiledFlow, CompiledStep } from './flow.compiler.js';
import type { CallRecord, MakeCall, StepInput, StepOutput } from './step.js';
import type { DeliverOutput } from './steps/deliver.step.js';

/** A step that ended, to be stored. */
export interface FinishedStep {
  readonly step: string;
  readonly kind: StepKind;
  readonly state: 'succeeded' | 'skipped';
  readonly output: Json;
  readonly inference?: StepOutput['inference'];
  readonly startedAt: Date;
  readonly finishedAt: Date;
}

/** Keeps the outputs and calls of one run's steps. */
export interface StepJournal {
  /** The stored output; undefined if the step has not ended yet. */
  stored(step: string): Json | undefined;
  /** Keeps the output; it is stored before anything outside the run can act on it. Returns it in the form in which it is read back. */
  keep(finished: FinishedStep): Promise<Json>;
  /** Stores the outputs kept so far, and that the step is about to call out. @throws RunLeaseLost */
  noteCall(step: string): Promise<void>;
  /** Notes that the call returned with a failure, so that no result of it is missing. */
  failCall(step: string): void;
  /** Keeps one finished request of the call. */
  recordCall(step: string, request: CallRecord): Promise<void>;
}

export interface FlowResult {
  readonly decision: Json;
  readonly deliveries: PlannedDelivery[];
}

const stepDuration = histogram('millrace_step_duration_seconds', 'Duration of flow steps that ended, by kind and outcome.', {
  kind: 'the kind of step',
  outcome: '`succeeded`, `skipped`, `abandoned` (the process stops), or a code of failures.md',
});

/** Runs a flow's steps in the order of their needs, independent ones at once, each from the stored outputs of those before it. */
export class FlowRunner {
  constructor(
    private readonly flow: CompiledFlow,
    private readonly event: EventReceived,
    private readonly journal: StepJournal,
    private readonly signal: AbortSignal,
  ) {}

  /** @throws DomainError of the step that failed; if several failed, preferably one that no further try can mend */
  async run(): Promise<FlowResult> {
    const view = viewOf(this.event);
    await this.flow.condition?.evaluate({ event: view }); // its value was used when the run was planned; here it only has to be evaluable
    const outputs = new Map<string, Promise<Json>>();
    for (const step of this.flow.steps) outputs.set(step.id, this.runAfterNeeds(step, view, outputs));
    // Steps that have begun are waited for even when another one fails, because their outputs are kept.
    const ended = await Promise.allSettled(outputs.values());
    const failures = ended.flatMap((end) => (end.status === 'rejected' ? [end.reason as unknown] : []));
    if (failures.length > 0) throw failures.find(isFinal) ?? failures[0];
    return this.conclude(view, await valuesOf(outputs, [...outputs.keys()]));
  }

  private async runAfterNeeds(step: CompiledStep, event: EventView, outputs: ReadonlyMap<string, Promise<Json>>): Promise<Json> {
    await valuesOf(outputs, step.needs);
    this.signal.throwIfAborted();
    const stored = this.journal.stored(step.id);
    if (stored !== undefined) return stored;
    const input = { event, steps: await valuesOf(outputs, step.reads) };
    return inSpan(`step ${step.id}`, { attributes: { 'millrace.step.kind': step.kind } }, () => this.runStep(step, input));
  }

  private async runStep(step: CompiledStep, input: StepInput): Promise<Json> {
    const watch = new Stopwatch();
    const observe = stepDuration.startTimer({ kind: step.kind });
    try {
      const wanted = step.condition === undefined || (await step.condition.evaluate(input)) === true;
      const call = <T>(make: MakeCall<T>): Promise<T> => this.callFrom(step, make);
      const result: StepOutput = wanted ? await step.work(input, { signal: this.signal, call }) : { output: null };
      const state = wanted ? 'succeeded' : 'skipped';
      const { startedAt, finishedAt } = watch.stop();
      const kept = await this.journal.keep({ step: step.id, kind: step.kind, state, ...result, startedAt, finishedAt });
      observe({ outcome: state }, recordedTraceId());
      return kept;
    } catch (error) {
      const code = error instanceof DomainError ? error.code : this.signal.aborted ? 'abandoned' : 'record.defect';
      observe({ outcome: code }, recordedTraceId());
      throw error;
    }
  }

  private async callFrom<T>(step: CompiledStep, make: MakeCall<T>): Promise<T> {
    await this.journal.noteCall(step.id);
    try {
      return await make((request) => this.journal.recordCall(step.id, request));
    } catch (error) {
      if (error instanceof DomainError && !this.signal.aborted) this.journal.failCall(step.id);
      throw error;
    }
  }

  private async conclude(event: EventView, steps: Readonly<Record<string, Json>>): Promise<FlowResult> {
    const decision = await this.decide(event, steps);
    const deliveries = this.flow.steps.flatMap(({ kind, id }): PlannedDelivery[] => {
      const planned = kind === 'deliver' ? (steps[id] as DeliverOutput | null) : null; // null if the step was skipped
      if (planned === null) return [];
      const payload = planned.payload === undefined ? this.envelope(event, decision) : planned.payload;
      return [{ step: id, destination: planned.destination, payload, ...(planned.atLeastOnce && { atLeastOnce: true }) }];
    });
    return { decision, deliveries };
  }

  private async decide(event: EventView, steps: Readonly<Record<string, Json>>): Promise<Json> {
    if (this.flow.decision !== undefined) return (await this.flow.decision.evaluate({ event, steps })) ?? null;
    const last = this.flow.steps.findLast((step) => step.kind !== 'deliver');
    return last === undefined ? null : steps[last.id]!;
  }

  /** The payload of a delivery that has none of its own. */
  private envelope({ id, type, source, customer, occurredAt }: EventView, decision: Json): Json {
    return { eventId: id, type, source, customer, occurredAt, flow: this.flow.name, decision };
  }
}

async function valuesOf(outputs: ReadonlyMap<string, Promise<Json>>, steps: readonly string[]): Promise<Record<string, Json>> {
  const values = await Promise.all(steps.map(async (step) => [step, await outputs.get(step)!] as const));
  return Object.fromEntries(values);
}

function isFinal(failure: unknown): boolean {
  return failure instanceof DomainError && failure.outcome !== 'retry';
}
