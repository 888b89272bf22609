import type { OutputLimitField, StructuredOutput } from '#libs/contracts';
import type { Turn } from '#libs/prompts';
import type { ModelRequest } from '../../model-provider.js';

/** The points in which servers with OpenAI's API differ. */
export interface Dialect {
  /** How a schema is handed over, unless the request says. */
  readonly structuredOutput: StructuredOutput;
  /** The field of a chat completion that limits its output. */
  readonly outputLimit: OutputLimitField;
}

export const openAiDialect: Dialect = Object.freeze({ structuredOutput: 'schema', outputLimit: 'max_completion_tokens' });

/** The way in which the request hands its schema over. */
export function formOf({ structuredOutput }: ModelRequest, dialect: Dialect): StructuredOutput {
  return structuredOutput ?? dialect.structuredOutput;
}

/** The turns of the request, with the schema in the system turn if that is where the model reads it. */
export function turnsWithSchema({ turns, schema: { schema } }: ModelRequest, form: StructuredOutput): readonly Turn[] {
  const [system, ...rest] = turns;
  if (form === 'schema' || system === undefined) return turns;
  return [{ ...system, content: `${system.content}\n\nThe JSON Schema of your answer:\n${JSON.stringify(schema)}` }, ...rest];
}
