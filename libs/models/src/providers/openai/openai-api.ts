import type { OpenAI } from 'openai';
import type { ModelRequest, ModelResponse, ModelStreamEvent } from '../../model-provider.js';

/** The SDK's clients for the two kinds of answers. */
export interface OpenAiClients {
  readonly whole: OpenAI;
  readonly streaming: OpenAI;
}

/** The format of one of OpenAI's two HTTP APIs. It throws what the SDK throws, or a ModelFailure that the response itself reports. */
export interface OpenAiApi {
  /** The path of its requests, below the base address. */
  readonly path: string;
  complete(request: ModelRequest, options: OpenAI.RequestOptions): Promise<ModelResponse>;
  /** True if the JSON of a success is an answer of this API, whatever it lacks. */
  isAnswer(value: unknown): boolean;
  stream(request: ModelRequest, options: OpenAI.RequestOptions): AsyncIterable<ModelStreamEvent>;
}
