import type { FailureCode, Lane } from '#libs/contracts';
import type { Json } from '#libs/json';
import type { PromptOptions } from '#libs/prompts';
import type { CompiledSchema } from '#libs/schemas';
import type { ModelTarget } from './model-directory.js';
import type { Usage } from './model-provider.js';
import type { OutputChecks } from './output-gate.js';

/** The use of earlier outputs. */
export interface InferenceCaching {
  /** How long an output is used again, in ms. */
  readonly ttlMs: number;
}

/**
 * Watches the text of a model as it is written. When the inference ends with an output, the text since the last restart is that of its answer. The methods
 * return at once: the inference waits for them, and goes on if they throw.
 */
export interface InferenceObserver {
  /** More of the text of the call under way. Nothing of it has been checked. The output of an earlier request comes as a whole. */
  add(text: string): void;
  /** The text so far is void, because the call failed or a gate refused its output. More may follow. */
  restart(): void;
}

export interface InferenceRequest {
  tenant: string;
  /** The flow that the call is counted for. Default: it belongs to no flow. */
  flow?: string | undefined;
  /** The path of the step that asks. Default: it is none of a run. */
  step?: string | undefined;
  /** Calls for one customer take turns with those for others, where the rate is limited. Default: there is one. */
  customer?: string | undefined;
  /** Higher ones go first where the rate is limited. Default: `normal`. */
  lane?: Lane | undefined;
  target: ModelTarget;
  /** The system message, written by the tenant. */
  instructions: string;
  /** JSON or text that comes from outside. It is never put into the system message. */
  input: unknown;
  outputSchema: CompiledSchema;
  /** Further checks of the output. Default: links and markup only. */
  checks?: OutputChecks | undefined;
  /** How the input is written. Default: that of {@link promptFor}. */
  prompt?: PromptOptions | undefined;
  /** Tells the model the subject of the schema. */
  schemaName: string;
  /** Uses outputs of equal requests again. Default: the model is asked each time. */
  cache?: InferenceCaching | undefined;
  temperature?: number | undefined;
  maxOutputTokens?: number | undefined;
  /** Limit of the whole inference in ms: calls, waits and repairs. */
  timeoutMs: number;
  /** Ends the inference with its own reason. */
  signal?: AbortSignal | undefined;
  /** Default: nobody watches, and answers come as a whole. */
  observer?: InferenceObserver | undefined;
  /** Called after every call, and for every model of a route that is passed over. The gateway waits for it before it goes on. */
  onAttempt(attempt: ModelAttempt): Promise<void>;
}

/** The record of one call to the provider, or of a model of a route that was passed over without a call. */
export interface ModelAttempt {
  /** From 1, within one inference; models that were passed over count. */
  readonly number: number;
  /** The name of the ModelProvider document; null: the provider of the installation. */
  readonly provider: string | null;
  readonly model: string;
  readonly startedAt: Date;
  readonly finishedAt: Date;
  /** `passedOver`: no call was made, for the reason that `errorCode` and `errorMessage` give. */
  readonly outcome: 'succeeded' | 'failed' | 'passedOver';
  readonly errorCode: FailureCode | null;
  readonly errorMessage: string | null;
  /** The Budget document for which the model was passed over; null: another reason, or none. */
  readonly budget: string | null;
  readonly responseModel: string | null;
  readonly providerRequestId: string | null;
  readonly inputTokens: number | null;
  readonly outputTokens: number | null;
  /** In billionths of `currency`. Null if the document of the provider has no price for the model, or the provider counts no tokens. */
  readonly costNanos: number | null;
  /** A code of ISO 4217. */
  readonly currency: string | null;
}

export interface Inference {
  /** Has passed all gates. */
  readonly output: Json;
  /** The model that was asked. */
  readonly model: string;
  readonly responseModel: string;
  /** Tokens of the call that succeeded. */
  readonly usage: Usage | undefined;
  /** Calls made; 0 if the output is that of an earlier request. */
  readonly attempts: number;
  readonly providerRequestId: string | undefined;
}
