import type { Turn } from './prompt.js';

/** One question to a model, in no provider's words. */
export interface Question {
  readonly model: string;
  readonly turns: readonly Turn[];
  readonly schema: { readonly name: string; readonly schema: Record<string, unknown>; readonly strict: boolean };
  readonly temperature?: number | undefined;
  readonly maxOutputTokens?: number | undefined;
}

export interface Usage {
  readonly inputTokens: number;
  readonly outputTokens: number;
}

export interface Answer {
  readonly text: string;
  /** `truncated`: the token limit was reached. `refused`: the model, or the provider's filter, will not answer. */
  readonly finish: 'complete' | 'truncated' | 'refused';
  /** The model's or the provider's words, where it refused. */
  readonly refusal?: string | undefined;
  readonly responseModel: string;
  readonly usage?: Usage | undefined;
  readonly providerRequestId?: string | undefined;
}

/** How one of OpenAI's two HTTP APIs is asked. */
export interface ModelApi {
  /** `gen_ai.operation.name` and the metrics' `api`. */
  readonly name: 'chat' | 'responses';
  /** @throws what the SDK throws, or a ModelFailure where the answer itself reports one */
  ask(question: Question, options: { signal: AbortSignal; timeout: number }): Promise<Answer>;
}
