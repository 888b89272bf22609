import type { StructuredOutput } from '#libs/contracts';
import type { StatedLimits } from './model-limits.js';
import type { Turn } from '#libs/prompts';

/** One request to a model, in no provider's format. */
export interface ModelRequest {
  readonly model: string;
  readonly turns: readonly Turn[];
  readonly schema: { readonly name: string; readonly schema: Record<string, unknown>; readonly strict: boolean };
  /** How the schema is handed over. Default: as the provider does it. */
  readonly structuredOutput?: StructuredOutput | undefined;
  readonly temperature?: number | undefined;
  readonly maxOutputTokens?: number | undefined;
}

/** Tokens as the provider counts them; undefined if it does not. */
export interface Usage {
  readonly inputTokens: number | undefined;
  readonly outputTokens: number | undefined;
}

export interface ModelResponse {
  readonly text: string;
  /** `truncated`: the limit of output tokens was reached. `refused`: the model, or the provider's content filter, refused the request. */
  readonly finish: 'complete' | 'truncated' | 'refused';
  /** The reason that the model or the provider gave for a refusal. */
  readonly refusal?: string | undefined;
  /** The model that the provider says it used; it may name a version. */
  readonly responseModel: string;
  readonly usage?: Usage | undefined;
  readonly providerRequestId?: string | undefined;
  /** The limits that the provider names for the model and the key, and what is left of them. */
  readonly limits?: StatedLimits | undefined;
}

/** A part of a streamed response. Any number of deltas, then one `end`. */
export type ModelStreamEvent =
  | { readonly type: 'delta'; readonly text: string }
  /** The text of the response is the deltas, joined. */
  | { readonly type: 'end'; readonly response: ModelResponse };

export interface ProviderCallOptions {
  /** Ends the call with its reason. */
  readonly signal: AbortSignal;
  /** Upper limit of the call in ms, for a client that insists on one. The signal comes first. */
  readonly timeoutMs: number;
}

/** A service that runs models. `modelProviderConformance` holds the rules that each implementation has to pass. */
export interface ModelProvider {
  /** `gen_ai.provider.name` of spans, such as `openai`. */
  readonly name: string;
  /** The provider's API that is called, such as `chat`: a label of metrics. */
  readonly api: string;
  /** The address that requests are sent to, complete and without credentials. */
  readonly server: URL;
  /** Attributes of spans that only this provider has. */
  readonly attributes: Readonly<Record<string, string>>;
  /**
   * Makes exactly one call: no retry and no wait.
   * @throws ModelFailure, classified by the provider; the signal's reason if the signal ended the call
   */
  complete(request: ModelRequest, options: ProviderCallOptions): Promise<ModelResponse>;
  /**
   * Makes exactly one call, and yields the text as it arrives. The call ends when the consumer stops iterating.
   * @throws as {@link complete}, also after some deltas
   */
  stream(request: ModelRequest, options: ProviderCallOptions): AsyncIterable<ModelStreamEvent>;
  /**
   * Finds out whether the API is there and takes the key, with a request that costs nothing. Resolves if it does, whatever else it objects to.
   * @throws ModelMisconfigured, ModelCredentialRefused, ModelUnavailable; the signal's reason if the signal ended the call
   */
  probe(options: ProviderCallOptions): Promise<void>;
  /**
   * Asks for the names of all models that the key may use, with one request that costs nothing. Empty if the provider does not list them.
   * @throws ModelFailure, classified by the provider; the signal's reason if the signal ended the call
   */
  models(options: ProviderCallOptions): Promise<readonly string[]>;
  /** Waits for calls under way, then closes the connections. */
  close(): Promise<void>;
}
