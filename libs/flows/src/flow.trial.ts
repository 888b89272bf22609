import { DomainError, NotFound, failureReason } from '#libs/contracts';
import type { EventReceived, EventView, FailureReason, PlannedDelivery } from '#libs/contracts';
import { parseStoredJson } from '#libs/json';
import type { Json } from '#libs/json';
import type { CompiledFlow } from './flow.compiler.js';
import { actionAfter } from './failure-action.js';
import type { FailureAction } from './failure-action.js';
import { FlowFailed, RunTooLarge, RunWaits } from './flow.errors.js';
import { FlowRunner } from './flow.runner.js';
import type { CalledFlows, FinishedStep, FlowResult, StepJournal, StoredStep } from './flow.runner.js';
import type { CallRecord, ReviewEnd, ReviewRequest, WaitEnd, WaitRequest } from './step.js';

/** The result of a flow on one event, as a run would have stored it. */
export interface Trial {
  /** The steps that ended, in the order in which they did. */
  readonly steps: readonly FinishedStep[];
  /** Undefined if the flow failed. */
  readonly decided?: { readonly decision: Json };
  /** Also those that the steps of `onFailure` planned. */
  readonly deliveries: readonly PlannedDelivery[];
  /** The number of the first steps that a run would have done before it waits; undefined: it would not have waited. */
  readonly stepsBeforeWait?: number;
  /** The reason why a run would have been tried again or given up. */
  readonly failure?: FailureReason;
}

/** The decision of a person in a trial. */
export type TrialDecision =
  | { readonly outcome: 'approved' | 'rejected' | 'expired' }
  | { readonly outcome: 'corrected'; readonly value: Json };

/** Decides a review of a trial. */
export type TrialReview = (step: string, request: ReviewRequest) => Promise<TrialDecision>;

/** Finds the decisions that people have made about the same questions, by the paths of their steps. */
export type KnownDecisions = (asked: ReadonlyMap<string, ReviewRequest>) => Promise<ReadonlyMap<string, ReviewEnd>>;

/** Lets every review expire: nobody looks at a trial. */
const unreviewed: TrialReview = () => Promise.resolve({ outcome: 'expired' });
const noneKnown: KnownDecisions = () => Promise.resolve(new Map());

export interface TrialOptions {
  /** The flows that it may call. Default: none. */
  readonly flows?: CalledFlows;
  /** Results that take the place of steps, by their paths: those steps are not done. */
  readonly results?: ReadonlyMap<string, StoredStep>;
  /** The data of the event, as expressions see it. Default: the parsed body. */
  readonly data?: Json;
  /** Told of each finished request of a call. */
  readonly onCall?: (step: string, request: CallRecord) => void;
  /** Told what a step asks a model or another system. */
  readonly onInput?: (step: string, input: Json) => void;
  /** Told when a run would have begun to wait: all steps that need none that waits have ended. */
  readonly onWait?: () => void;
  /** Finds decisions of its reviews that are known before anybody is asked. A run would not wait for them. Default: none is. */
  readonly known?: KnownDecisions;
  /** Decides its other reviews. Default: they expire. */
  readonly decide?: TrialReview;
  /** Reads the events that may end a wait. Default: there are none. */
  readonly arrivals?: StepJournal['arrivals'];
}

/** The same as of a run. */
const mostResults = 10_000;
const mostCharacters = 64 * 1_048_576;

/** There is no other flow than the one that is tried. */
const noFlows: CalledFlows = {
  currentVersion: (flow) => {
    throw new NotFound('flow', flow);
  },
  compiled: (flow) => Promise.reject(new NotFound('flow', flow)),
};

/**
 * Runs a flow on one event without effects: nothing is stored, nothing is delivered, and the run is not tried again, so `onError` handles a failure that
 * may pass as if the tries of a run were used up. Calls of steps go where the services of the compiler lead.
 * @throws a defect, or the reason of the signal
 */
export async function tryFlow(flow: CompiledFlow, event: EventReceived, signal: AbortSignal, options: TrialOptions = {}): Promise<Trial> {
  const journal = new TrialJournal(options);
  const { flows = noFlows, data } = options;
  const runOptions = { signal, actionAfter: afterLastTry, flows, ...(data !== undefined && { data }) };
  const run = (): Promise<FlowResult> => new FlowRunner(flow, event, journal, runOptions).run();
  try {
    const { decision, deliveries } = await decided(journal, run);
    return { ...journal.progress, decided: { decision }, deliveries };
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof FlowFailed) return { ...journal.progress, failure: error.failure as FailureReason, deliveries: error.deliveries };
    return { ...journal.progress, failure: failureOf(error), deliveries: [] };
  }
}

/** Runs the flow again after the waits and reviews that it has met, as a run goes on after one. */
async function decided(journal: TrialJournal, run: () => Promise<FlowResult>): Promise<FlowResult> {
  for (;;) {
    try {
      return await run();
    } catch (error) {
      if (!(error instanceof RunWaits && (await journal.endWaits()))) throw error;
    }
  }
}

/**
 * A flow of one step of this one, with those that it needs. Its decision is the output of the step, unless that is a delivery.
 * @throws Error if the flow has no such step in its own list
 */
export function onlyStep(flow: CompiledFlow, id: string): CompiledFlow {
  const step = flow.steps.find((one) => one.id === id);
  if (step === undefined) throw new Error(`The flow ${flow.name} has no step ${id} in its own list`);
  const steps = flow.steps.filter((one) => one === step || step.reads.includes(one.id));
  return { name: flow.name, steps, condition: undefined, decision: undefined, draft: undefined, failureSteps: undefined };
}

/** A defect ends the trial. */
function afterLastTry(error: unknown): FailureAction {
  return error instanceof DomainError ? actionAfter(error, 0, 0) : 'wait';
}

/** @throws the error itself if it is a defect */
function failureOf(error: unknown): FailureReason {
  const reason = failureReason(error);
  if (reason.code === 'record.defect') throw error;
  return reason;
}

function endOf(decision: TrialDecision, { proposal, default: otherwise, expiresAt }: ReviewRequest): ReviewEnd {
  const { outcome } = decision;
  const value = outcome === 'corrected' ? decision.value : outcome === 'approved' ? proposal : otherwise;
  return { outcome, value, by: outcome === 'expired' ? null : 'trial', reason: null, at: expiresAt.toISOString() };
}

/** Keeps outputs in memory, in the form in which stored ones are read. */
class TrialJournal implements StepJournal {
  private readonly steps: FinishedStep[] = [];
  private stepsBeforeWait: number | undefined;
  private readonly waiting = new Map<string, WaitRequest>();
  private readonly waited = new Map<string, WaitEnd>();
  private readonly asked = new Map<string, ReviewRequest>();
  private readonly ends = new Map<string, ReviewEnd>();
  private readonly results: Map<string, StoredStep>;
  private characters = 0;

  constructor(private readonly options: TrialOptions) {
    this.results = new Map(options.results);
  }

  get progress(): Pick<Trial, 'steps' | 'stepsBeforeWait'> {
    const { steps, stepsBeforeWait } = this;
    return { steps, ...(stepsBeforeWait !== undefined && { stepsBeforeWait }) };
  }

  stored(step: string): StoredStep | undefined {
    return this.results.get(step);
  }

  keep(finished: FinishedStep): Promise<Json> {
    const text = JSON.stringify(finished.output);
    this.characters += text.length;
    if (this.steps.length >= mostResults || this.characters > mostCharacters)
      return Promise.reject(new RunTooLarge(`its steps have more than ${mostResults} results, or ${mostCharacters} characters in them`));
    const kept = { ...finished, output: parseStoredJson(text) };
    this.steps.push(kept);
    this.results.set(kept.step, kept);
    return Promise.resolve(kept.output);
  }

  noteCall(): Promise<void> {
    return Promise.resolve();
  }

  failCall(): void {}

  noteInput(step: string, input: Json): void {
    this.options.onInput?.(step, input);
  }

  wait(step: string, request: WaitRequest): WaitEnd | undefined {
    const end = this.waited.get(step);
    if (end === undefined) this.waiting.set(step, request);
    return end;
  }

  reviewed(step: string): ReviewEnd | undefined {
    return this.ends.get(step);
  }

  ask(step: string, request: ReviewRequest): void {
    this.asked.set(step, request);
  }

  /** Nothing waits in a trial: the time of waits comes at once, and reviews are decided. @returns false if nothing waits */
  async endWaits(): Promise<boolean> {
    if (await this.endKnown()) return true;
    const { decide = unreviewed, onWait } = this.options;
    if (this.stepsBeforeWait === undefined) onWait?.();
    this.stepsBeforeWait ??= this.steps.length;
    const asked = [...this.asked];
    this.asked.clear();
    for (const [step, { dueAt }] of this.waiting) this.waited.set(step, { reason: 'elapsed', at: dueAt.toISOString() });
    const hasWaited = asked.length + this.waiting.size > 0;
    this.waiting.clear();
    for (const [step, request] of asked) this.ends.set(step, endOf(await decide(step, request), request));
    return hasWaited;
  }

  /** Ends reviews whose decisions are known. The rest waits only once no step is left that can be done without it. @returns false if none is known */
  private async endKnown(): Promise<boolean> {
    const { known = noneKnown } = this.options;
    if (this.asked.size === 0) return false;
    const ends = await known(this.asked);
    if (ends.size === 0) return false;
    for (const [step, end] of ends) this.ends.set(step, end);
    this.asked.clear();
    this.waiting.clear();
    return true;
  }

  effectKey(step: string): string {
    return `trial_${step}`;
  }

  reachedAt(): undefined {}

  async arrivals(request: WaitRequest, after: EventView | undefined): Promise<readonly EventReceived[]> {
    return (await this.options.arrivals?.(request, after)) ?? [];
  }

  recordCall(step: string, request: CallRecord): Promise<void> {
    this.options.onCall?.(step, request);
    return Promise.resolve();
  }
}
