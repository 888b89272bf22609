import type { ModelQuestion } from './model-question.js';

export const modelName = 'local/rules-1';

/** An answer, in no API's format. */
export interface Completion {
  readonly model: string;
  readonly createdAt: Date;
  /** Unique; each format puts its own prefix before it. */
  readonly id: string;
  readonly text: string;
  readonly refusal: string | undefined;
  /** The limit of output tokens cut the text off. */
  readonly truncated: boolean;
  readonly inputTokens: number;
  readonly outputTokens: number;
}

/** One server-sent event; `[DONE]` has no JSON. */
export interface StreamEvent {
  readonly event?: string;
  readonly data: object | '[DONE]';
}

/** The request and response format of one of OpenAI's two APIs. */
export interface ApiFormat {
  readonly name: 'chat' | 'responses';
  /** @throws InvalidRequest */
  read(body: unknown): ModelQuestion;
  whole(completion: Completion, question: ModelQuestion): object;
  stream(completion: Completion, question: ModelQuestion): Iterable<StreamEvent>;
}

/** Splits a text into pieces of a few characters, as a model would stream it. */
export function pieces(text: string): string[] {
  return text.match(/[\s\S]{1,16}/gu) ?? [];
}
