import { DomainError, NotFound, failureReason } from '#libs/contracts';
import type { EventReceived, FailureReason, PlannedDelivery } from '#libs/contracts';
import { parseStoredJson } from '#libs/json';
import type { Json } from '#libs/json';
import type { CompiledFlow } from './flow.compiler.js';
import { actionAfter } from './failure-action.js';
import type { FailureAction } from './failure-action.js';
import { FlowFailed, RunWaits } from './flow.errors.js';
import { FlowRunner } from './flow.runner.js';
import type { CalledFlows, FinishedStep, FlowResult, StepJournal, StoredStep } from './flow.runner.js';
import type { ReviewEnd, ReviewRequest, WaitEnd, WaitRequest } from './step.js';

/** The result of a flow on one event, as a run would have stored it. */
export interface Trial {
  /** The steps that ended, in the order in which they did. */
  readonly steps: readonly FinishedStep[];
  /** Undefined if the flow failed. */
  readonly decided?: { readonly decision: Json };
  /** Also those that the steps of `onFailure` planned. */
  readonly deliveries: readonly PlannedDelivery[];
  /** The reason why a run would have been tried again or given up. */
  readonly failure?: FailureReason;
}

/** The decision of a person in a trial. */
export type TrialDecision =
  | { readonly outcome: 'approved' | 'rejected' | 'expired' }
  | { readonly outcome: 'corrected'; readonly value: Json };

/** Decides a review of a trial. */
export type TrialReview = (step: string, request: ReviewRequest) => Promise<TrialDecision>;

/** Lets every review expire: nobody looks at a trial. */
const unreviewed: TrialReview = () => Promise.resolve({ outcome: 'expired' });

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
 * @param flows the flows that it may call; default: none
 * @param decide decides its reviews; default: they expire
 * @throws a defect, or the reason of the signal
 */
export async function tryFlow(
  flow: CompiledFlow,
  event: EventReceived,
  signal: AbortSignal,
  flows: CalledFlows = noFlows,
  decide: TrialReview = unreviewed,
): Promise<Trial> {
  const journal = new TrialJournal(decide);
  const run = (): Promise<FlowResult> => new FlowRunner(flow, event, journal, { signal, actionAfter: afterLastTry, flows }).run();
  try {
    const { decision, deliveries } = await decided(journal, run);
    return { steps: journal.steps, decided: { decision }, deliveries };
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof FlowFailed) return { steps: journal.steps, failure: error.failure as FailureReason, deliveries: error.deliveries };
    return { steps: journal.steps, failure: failureOf(error), deliveries: [] };
  }
}

/** Runs the flow again after each review that it has met, as a run goes on after one. */
async function decided(journal: TrialJournal, run: () => Promise<FlowResult>): Promise<FlowResult> {
  for (;;) {
    try {
      return await run();
    } catch (error) {
      if (!(error instanceof RunWaits && (await journal.decideNext()))) throw error;
    }
  }
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
  readonly steps: FinishedStep[] = [];
  private readonly asked = new Map<string, ReviewRequest>();
  private readonly ends = new Map<string, ReviewEnd>();

  constructor(private readonly decide: TrialReview) {}

  stored(step: string): StoredStep | undefined {
    return this.steps.find((one) => one.step === step);
  }

  keep(finished: FinishedStep): Promise<Json> {
    const output = parseStoredJson(JSON.stringify(finished.output));
    this.steps.push({ ...finished, output });
    return Promise.resolve(output);
  }

  noteCall(): Promise<void> {
    return Promise.resolve();
  }

  failCall(): void {}

  /** Nothing waits in a trial: the time comes at once. */
  wait(_: string, { dueAt }: WaitRequest): WaitEnd {
    return { reason: 'elapsed', at: dueAt.toISOString() };
  }

  reviewed(step: string): ReviewEnd | undefined {
    return this.ends.get(step);
  }

  ask(step: string, request: ReviewRequest): void {
    this.asked.set(step, request);
  }

  /** @returns false if no review waits */
  async decideNext(): Promise<boolean> {
    const waiting = [...this.asked];
    this.asked.clear();
    for (const [step, request] of waiting) this.ends.set(step, endOf(await this.decide(step, request), request));
    return waiting.length > 0;
  }

  effectKey(step: string): string {
    return `trial_${step}`;
  }

  reachedAt(): undefined {}

  arrivals(): Promise<readonly EventReceived[]> {
    return Promise.resolve([]);
  }

  recordCall(): Promise<void> {
    return Promise.resolve();
  }
}
