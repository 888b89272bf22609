import { z } from 'zod';
import { CompiledSchemas, framedData } from '#libs/models';
import type { AnswerFormat } from '../answering/answer.js';
import { InvalidRequest } from './api.errors.js';

/** A request of either API, in one form. */
export interface ModelQuestion {
  readonly model: string;
  /** What the user's messages say, without the frame that Millrace's own gateway puts around its data. */
  readonly inputs: readonly string[];
  /** Everything the request holds, for counting tokens. */
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

/** A message's content: text, or parts of which only text is read. */
export const messageContent = z.union([z.string(), z.array(z.looseObject({ type: z.string(), text: z.string().optional() }))]);

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

/** Where the gateway has framed its data, only that is judged: the rest of the conversation is about the form of the answer. */
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

const schemas = new CompiledSchemas(500);

/** @throws InvalidRequest where the schema is none */
export function schemaFormat(schema: Record<string, unknown> | undefined, param: string): AnswerFormat {
  if (schema === undefined)
    throw new InvalidRequest(`Missing required parameter: '${param}.schema'.`, `${param}.schema`, 'missing_required_parameter');
  try {
    return { kind: 'schema', schema: schemas.of(schema) };
  } catch (error) {
    throw new InvalidRequest(`Invalid schema for ${param}: ${(error as Error).message}`, `${param}.schema`, 'invalid_json_schema');
  }
}

/** `messages[0].role` */
function pathOf(path: readonly PropertyKey[]): string {
  return path.reduce<string>(
    (text, step) => (typeof step === 'number' ? `${text}[${step}]` : text === '' ? String(step) : `${text}.${String(step)}`),
    '',
  );
}
