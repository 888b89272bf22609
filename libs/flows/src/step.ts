import type { FlowStep, StepKind } from '#libs/contracts';
import type { Expression } from '#libs/expressions';
import type { Json } from '#libs/json';
import type { ModelAttempt, ModelGateway } from '#libs/models';
import type { CompiledSchema } from '#libs/schemas';
import type { EventView } from './event.view.js';

/** The data that a step works on. It is the same in every try of the step. */
export interface StepInput {
  readonly event: EventView;
  /** Stored outputs of the steps it needs, directly or through others, by id. */
  readonly steps: Readonly<Record<string, Json>>;
}

/** One finished request of a call, to be stored. A new kind of call adds its member here and its columns in `run.progress.store.ts`. */
export type CallRecord = { readonly kind: 'model' } & ModelAttempt;

/** Makes a call, and reports each of its requests as soon as that is finished. */
export type MakeCall<T> = (record: (request: CallRecord) => Promise<void>) => Promise<T>;

/** The means of one step while it works. */
export interface StepContext {
  /** Aborted when the claim of the run is lost. */
  readonly signal: AbortSignal;
  /**
   * The only way for a step to act outside of the process. Before `make` is called, it is stored under the fence that the call is about to be made,
   * together with all outputs that the run has computed; so a process that lost its claim makes no call, and a call whose result a crash lost is counted.
   * @throws RunLeaseLost if the claim of the run is lost; otherwise what `make` throws
   */
  readonly call: <T>(make: MakeCall<T>) => Promise<T>;
}

export interface StepOutput {
  readonly output: Json;
  /** Set if the output comes from a model. */
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

/** The services that the compilation of a step may use. */
export interface StepServices {
  readonly models: ModelGateway;
  /** Compiles an expression of the flow's tenant. @throws ExpressionInvalid */
  readonly expression: (text: string) => Expression;
  /** Compiles a JSON Schema of the flow's tenant. @throws SchemaInvalid */
  readonly schema: (schema: object) => CompiledSchema;
}

/** One kind of step, in `steps/<kind>.step.ts`: compiles its part of a flow document. */
export interface Step<K extends StepKind> {
  /** @throws Error if the spec is invalid, although it was checked when it was applied */
  compile(spec: NonNullable<FlowStep[K]>, id: string, services: StepServices): StepWork;
}
