import { failureReason } from '#libs/contracts';
import type { EventReceived, FailureReason, PlannedDelivery } from '#libs/contracts';
import { parseStoredJson } from '#libs/json';
import type { Json } from '#libs/json';
import type { CompiledFlow } from './flow.compiler.js';
import { FlowRunner } from './flow.runner.js';
import type { FinishedStep, StepJournal } from './flow.runner.js';
import type { WaitEnd, WaitRequest } from './step.js';

/** The result of a flow on one event, as a run would have stored it. */
export interface Trial {
  /** The steps that ended, in the order in which they did. */
  readonly steps: readonly FinishedStep[];
  /** Undefined if the flow failed. */
  readonly decided?: { readonly decision: Json; readonly deliveries: readonly PlannedDelivery[] };
  /** The reason why a run would have been tried again or given up. */
  readonly failure?: FailureReason;
}

/**
 * Runs a flow on one event without effects: nothing is stored, nothing is delivered, no step is tried again. Calls of steps go where the services of
 * the compiler lead.
 * @throws a defect, or the reason of the signal
 */
export async function tryFlow(flow: CompiledFlow, event: EventReceived, signal: AbortSignal): Promise<Trial> {
  const journal = new TrialJournal();
  try {
    const decided = await new FlowRunner(flow, event, journal, signal).run();
    return { steps: journal.steps, decided };
  } catch (error) {
    signal.throwIfAborted();
    return { steps: journal.steps, failure: failureOf(error) };
  }
}

/** @throws the error itself if it is a defect */
function failureOf(error: unknown): FailureReason {
  const reason = failureReason(error);
  if (reason.code === 'record.defect') throw error;
  return reason;
}

/** Keeps outputs in memory, in the form in which stored ones are read. */
class TrialJournal implements StepJournal {
  readonly steps: FinishedStep[] = [];

  stored(): undefined {}

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

  recordCall(): Promise<void> {
    return Promise.resolve();
  }
}
