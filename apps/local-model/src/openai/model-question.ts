import { hash } from 'node:crypto';
import { z } from 'zod';
import { LruMap } from '#libs/lru';
import { framedData } from '#libs/prompts';
import { compileCheck } from '#libs/schemas';
import type { SchemaCheck } from '#libs/schemas';
import type { AnswerFormat } from '../answering/answer.js';
import { InvalidRequest } from './api.errors.js';

/** A request of either API, in one form. */
export interface ModelQuestion {
  readonly model: string;
  /** The texts of the user's messages, without the marks that Millrace's gateway puts around its data. */
  readonly inputs: readonly string[];
  /** Characters of the whole conversation, for counting tokens. */
  readonly promptLength: number;
  readonly format: AnswerFormat;
  readonly maxOutputTokens: number | undefined;
  readonly stream: boolean;
  /** Chat only: whether a stream ends with a chunk of usage. */
  readonly streamsUsage: boolean;
}

export interface Message {
  readonly role: string;
  readonly text: string;
}

/** A list of which no item is looked at if it has too many of them. */
export function listOf<T extends z.ZodType>(item: T, least = 0, most = 1_000) {
  return z.array(z.unknown()).min(least).max(most).pipe(z.array(item));
}

/** The content of a message: a text, or parts of which only texts are supported. */
export const messageContent = z.union([z.string(), listOf(z.looseObject({ type: z.string(), text: z.string().optional() }))]);

export function textOf(content: z.infer<typeof messageContent> | null | undefined, param: string): string {
  if (typeof content === 'string') return content;
  return (content ?? [])
    .map((part, at) => {
      if (part.text === undefined && part.type !== 'refusal')
        throw new InvalidRequest(`local/rules-1 reads text only, not '${part.type}'.`, `${param}[${at}].type`);
      return part.text ?? '';
    })
    .join('\n');
}

/** Returns only the data between the gateway's marks, if there are any: the other messages are about the form of the output. */
export function inputsOf(messages: readonly Message[]): string[] {
  const texts = messages.filter(({ role }) => role === 'user').map(({ text }) => text);
  const framed = texts.map(framedData).filter((data) => data !== undefined);
  return framed.length > 0 ? framed : texts;
}

/** @throws InvalidRequest that names the first field at fault, as OpenAI does */
export function parseRequest<T>(schema: z.ZodType<T>, body: unknown): T {
  const result = schema.safeParse(body);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const param = pathOf(issue?.path ?? []);
  const missing = issue?.code === 'invalid_type' && issue.input === undefined;
  throw missing
    ? new InvalidRequest(`Missing required parameter: '${param}'.`, param, 'missing_required_parameter')
    : new InvalidRequest(`Invalid value for '${param}': ${issue?.message}.`, param, 'invalid_value');
}

/** By the digest of the schema: compiling takes milliseconds, checking takes microseconds. */
const checks = new LruMap<string, SchemaCheck>(500);

/** @throws InvalidRequest if the schema is missing or invalid */
export function schemaFormat(schema: Record<string, unknown> | undefined, param: string): AnswerFormat {
  if (schema === undefined)
    throw new InvalidRequest(`Missing required parameter: '${param}.schema'.`, `${param}.schema`, 'missing_required_parameter');
  try {
    const digest = hash('sha256', JSON.stringify(schema));
    return { kind: 'schema', schema, check: checks.getOrMake(digest, () => compileCheck(schema)) };
  } catch (error) {
    throw new InvalidRequest(`Invalid schema for ${param}: ${(error as Error).message}`, `${param}.schema`, 'invalid_json_schema');
  }
}

/** Formats a path as OpenAI does: `messages[0].role`. */
function pathOf(path: readonly PropertyKey[]): string {
  return path.reduce<string>(
    (text, step) => (typeof step === 'number' ? `${text}[${step}]` : text === '' ? String(step) : `${text}.${String(step)}`),
    '',
  );
}
