import type { FlowStep, Json, StepKind } from '#libs/contracts';
import type { ModelAttempt } from '#libs/models';
import type { EventView } from './event.view.js';

/** What a step works on; all of it stays the same however often the step is tried. */
export interface StepInput {
  readonly event: EventView;
  /** Stored outputs of the steps it needs, directly or through others, by id. */
  readonly steps: Readonly<Record<string, Json>>;
}

/** What a step may use while it works. */
export interface StepContext {
  /** Aborted when the run is no longer ours. */
  readonly signal: AbortSignal;
  /**
   * Called, and waited for, before a question is put to a model: what it is about is stored then, and that it was put.
   * @throws RunLeaseLost where the run is no longer ours
   */
  readonly beforeAsking: () => Promise<void>;
  readonly onModelAttempt: (attempt: ModelAttempt) => Promise<void>;
}

export interface StepOutput {
  readonly output: Json;
  /** Set where a model was asked. */
  readonly inference?: {
    readonly model: string;
    readonly responseModel: string;
    readonly inputTokens: number | null;
    readonly outputTokens: number | null;
  };
}

/**
 * The compiled step: called until it returns once, and never again after that.
 * @throws DomainError, whose outcome decides between another try and giving the run up
 */
export type StepWork = (input: StepInput, context: StepContext) => Promise<StepOutput>;

/** One kind of step: makes work of its part of a flow document. */
export interface Step<K extends StepKind> {
  /** @throws Error where the document could not be meant: it was checked when it was applied */
  compile(spec: NonNullable<FlowStep[K]>, id: string): StepWork;
}
