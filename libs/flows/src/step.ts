import type { EventView, FlowStep, Lane, NestedStep, PlannedDelivery, StepKind, StepOrder } from '#libs/contracts';
import type { Expression } from '#libs/expressions';
import type { Json } from '#libs/json';
import type { InferenceObserver, ModelAttempt, ModelGateway } from '#libs/models';
import type { CompiledSchema } from '#libs/schemas';
import type { BegunOperation, OperationAttempt, TenantOperations } from './operations.js';

/** The data that a step works on. It is the same in every try of the step. Expressions see it as it is. */
export interface StepInput {
  readonly event: EventView;
  /** Stored outputs of the steps it needs, directly or through others, by id; of a step within another one also those that the other one sees. */
  readonly steps: Readonly<Record<string, Json>>;
  /** Names that the steps around it add. */
  readonly [name: string]: unknown;
}

/** A step of one version of a flow, ready to run. */
export interface CompiledStep extends StepOrder {
  readonly id: string;
  readonly kind: StepKind;
  readonly condition: Expression | undefined;
  readonly work: StepWork;
  /** True if the step runs others. Of such a step, `work` is also called after its output was stored, to tell the deliveries of the others. */
  readonly hasSteps: boolean;
  readonly onError: OnError | undefined;
}

/** The conduct of a step that fails. At most one of `value` and `steps` is given. */
export interface OnError {
  readonly retry: { readonly times: number; readonly delayMs: number } | undefined;
  readonly value: Expression | undefined;
  readonly steps: readonly CompiledStep[] | undefined;
}

/** The reason of a failure that the flow handles. */
export interface StepFailure {
  readonly code: string;
  readonly message: string;
}

/** A failure as a fallback sees it. */
export interface HandledFailure extends StepFailure {
  /** The output of a model that a gate refused; null for any other failure. */
  readonly output: Json;
}

/** The end of work whose failure is a result, too. */
export type TriedWork<T> = { readonly result: T } | { readonly failure: HandledFailure };

/** A delivery that the run plans once it is decided; without a payload, its flow's envelope is sent. */
export type UnsentDelivery = Omit<PlannedDelivery, 'payload'> & { readonly payload?: Json };

/** The end of a list of steps. */
export interface StepsResult {
  /** The outputs of its steps, by id. */
  readonly outputs: Readonly<Record<string, Json>>;
  /** The output of the last step that is not a delivery; null if there is none. */
  readonly output: Json;
  readonly deliveries: readonly UnsentDelivery[];
}

/** One finished request of a call, to be stored. A new kind of call adds its member here and its columns in `run.progress.store.ts`. */
export type CallRecord = ({ readonly kind: 'model' } & ModelAttempt) | ({ readonly kind: 'operation' } & OperationAttempt);

/** Makes a call, and reports each of its requests as soon as that is finished. */
export type MakeCall<T> = (record: (request: CallRecord) => Promise<void>) => Promise<T>;

/** The wait of a step. */
export interface WaitRequest {
  /** When it ends. */
  readonly dueAt: Date;
  /** Patterns of the types of events that may end it before. Default: none does. */
  readonly types?: readonly string[];
  /** How many events of these types the step has looked at, and none was the one. */
  readonly looked?: number;
}

/** The end of a wait by its time. */
export interface WaitEnd {
  /** `elapsed`: its time came. */
  readonly reason: 'elapsed';
  /** RFC 3339. */
  readonly at: string;
}

/** A question to a person. */
export interface ReviewRequest {
  /** When the default is the decision. */
  readonly expiresAt: Date;
  /** When the review goes to the front of the queue; null: never. */
  readonly escalateAt: Date | null;
  readonly priority: number;
  readonly proposal: Json;
  readonly default: Json;
  /** The JSON Schema of the values that a person may choose; null: any. */
  readonly schema: Readonly<Record<string, unknown>> | null;
  readonly reason: string | null;
  readonly context: Json;
}

/** The decision of a review. */
export interface ReviewEnd {
  readonly outcome: 'approved' | 'corrected' | 'rejected' | 'expired';
  readonly value: Json;
  /** The person, or the key that was used; null if nobody decided in time. */
  readonly by: string | null;
  /** The words of the person; null if there are none. */
  readonly reason: string | null;
  /** RFC 3339. */
  readonly at: string;
}

/** The means of one step while it works. */
export interface StepContext {
  /** The id of the step, behind those of the steps around it. */
  readonly path: string;
  /** The lane of the event. */
  readonly lane: Lane;
  /** Aborted when the claim of the run is lost. */
  readonly signal: AbortSignal;
  /** Compares the claim of the run with the clock, for a call that waits before it sends. @throws RunLeaseLost if another process may have the run */
  readonly requireClaim: () => void;
  /**
   * The only way for a step to act outside of the process. Before `make` is called, it is stored under the fence that the call is about to be made,
   * together with all outputs that the run has computed, and with `begun` the operation; so a process that lost its claim makes no call, and a call whose result a crash lost is counted.
   * @throws RunLeaseLost if the claim of the run is lost; otherwise what `make` throws
   */
  readonly call: <T>(make: MakeCall<T>, begun?: BegunOperation) => Promise<T>;
  /** Watches what a model writes for the step; undefined if nobody does. */
  readonly observer: InferenceObserver | undefined;
  /** Tells what the step asks a model or another system, for whoever tries the flow. A run does not keep it. */
  readonly noteInput: (input: Json) => void;
  /** The same for every try of the step, and for every run that replaces a lost one. */
  readonly effectKey: () => string;
  /** When the first earlier try of the step sent an operation that took effect, or may have; undefined if there is none. */
  readonly reachedAt: () => Date | undefined;
  /**
   * Stores the value that decides what the steps within this one do, before any of them can act. The first stored value is final: a run that is resumed
   * gets it, and `make` is not called again. Undefined is not stored.
   * @param what a word for the value, such as `choice`, unique in the step
   */
  readonly begin: <T extends Json | undefined>(what: string, make: () => Promise<T>) => Promise<T>;
  /**
   * Waits. A run does not stay in memory meanwhile: its work ends here, and begins anew with what is stored when the wait is over.
   * @throws RunWaits until the wait is over
   */
  readonly wait: (request: WaitRequest) => WaitEnd;
  /**
   * Asks a person, and waits for the decision as {@link wait} waits.
   * @param make the question; not called once it is decided
   * @throws RunWaits until it is decided, or expired
   */
  readonly review: (make: () => Promise<ReviewRequest>) => Promise<ReviewEnd>;
  /**
   * Some events of the run's customer that may end the wait, in the order in which they were received: the first ones, or those behind one. Empty: there
   * are no more. Those that come later wake the run.
   */
  readonly arrivals: (request: WaitRequest, after: EventView | undefined) => Promise<readonly EventView[]>;
  /**
   * Runs steps within this one. Those that ended before are not done again. A rejection that is no failure of the work, such as a lost claim, must pass
   * through the step, so a step handles none but by {@link attempt}.
   * @param options.under a part of the path between this step and the others, such as the key of an item
   * @param options.names names that the expressions of the steps see beside those of this step
   * @throws DomainError of the step that failed
   */
  readonly runSteps: (
    steps: readonly CompiledStep[],
    options?: { readonly under?: string; readonly names?: Readonly<Record<string, Json>> },
  ) => Promise<StepsResult>;
  /**
   * Makes a result of a failure that ends the work for good: one that no further try can mend, or that used up the tries of the run. It is stored, so a
   * resumed run does not try again.
   * @param under the part of the path that the work stands under, unique in the step
   */
  readonly attempt: <T>(under: string, work: () => Promise<T>) => Promise<TriedWork<T>>;
  /** The current version of a flow of the tenant. @throws NotFound */
  readonly currentVersion: (flow: string) => number;
  /** Runs a version of a flow within this step, with `data` as the data of the event. Its decision is the output. */
  readonly runFlow: (flow: string, version: number, data: Json) => Promise<StepOutput>;
}

export interface StepOutput {
  readonly output: Json;
  /** Deliveries of steps within this one. */
  readonly deliveries?: readonly UnsentDelivery[];
  /** Set if the output comes from a model. */
  readonly inference?: {
    readonly model: string;
    readonly responseModel: string;
    readonly inputTokens: number | null;
    readonly outputTokens: number | null;
  };
}

/**
 * The compiled step: called until it returns once, and never again after that, unless it runs other steps ({@link CompiledStep.hasSteps}).
 * @throws DomainError, whose outcome decides between another try and giving the run up
 */
export type StepWork = (input: StepInput, context: StepContext) => Promise<StepOutput>;

/** The services that the compilation of a step may use. */
export interface StepServices {
  /** The flow's tenant. */
  readonly tenant: string;
  /** The name of the flow. */
  readonly flow: string;
  readonly models: Pick<ModelGateway, 'infer'>;
  /** The operations of the tenant's connections. */
  readonly operations: TenantOperations;
  /** Compiles an expression of the flow's tenant. @throws ExpressionInvalid */
  readonly expression: (text: string) => Expression;
  /** Compiles a JSON Schema of the flow's tenant. @throws SchemaInvalid */
  readonly schema: (schema: object) => CompiledSchema;
  /** The JSON Schema of the output of an `infer` step of the flow. */
  readonly outputSchemaOf: (id: string) => Readonly<Record<string, unknown>>;
  /** Compiles a list of steps within the step. */
  readonly steps: (list: readonly NestedStep[]) => readonly CompiledStep[];
}

/** One kind of step, in `steps/<kind>.step.ts`: compiles its part of a flow document. */
export interface Step<K extends StepKind> {
  /** True if the kind runs other steps. Default: false. */
  readonly hasSteps?: boolean | ((spec: NonNullable<FlowStep[K]>) => boolean);
  /** @throws Error if the spec is invalid, although it was checked when it was applied */
  compile(spec: NonNullable<FlowStep[K]>, id: string, services: StepServices): StepWork;
}
