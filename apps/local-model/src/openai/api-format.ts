import type { ModelQuestion } from './model-question.js';

export const modelName = 'local/rules-1';

/** An answer, ready to be worded by a protocol. */
export interface Completion {
  readonly model: string;
  readonly createdAt: Date;
  /** Unique; protocols put their own prefix before it. */
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

/** How one of OpenAI's two APIs words questions and answers. */
export interface ApiFormat {
  readonly name: 'chat' | 'responses';
  /** @throws InvalidRequest */
  read(body: unknown): ModelQuestion;
  whole(completion: Completion, question: ModelQuestion): object;
  stream(completion: Completion, question: ModelQuestion): Iterable<StreamEvent>;
}

/** Pieces of a text as a model would let go of them: a few characters each, together the text. */
export function pieces(text: string): string[] {
  return text.match(/[\s\S]{1,16}/gu) ?? [];
}
