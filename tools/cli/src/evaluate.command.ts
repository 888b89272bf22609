import { parseJson } from '#libs/json';
import type { Json } from '#libs/json';
import type { Connection } from './connection.js';
import { CliFailure } from './failure.js';
import { ask } from './graphql.client.js';
import type { Output } from './output.js';

export interface EvaluateOptions {
  event?: string;
  run?: string;
  names?: string;
}

interface Evaluated {
  value: Json;
  type: string | null;
  error: { code: string; message: string; position: number | null } | null;
  warnings: string[];
  durationMs: number;
}

const query = `query Evaluate($expression: String!, $event: ID, $run: ID, $names: JSON) {
  evaluate(expression: $expression, event: $event, run: $run, names: $names) { value type error { code message position limit } warnings durationMs }
}`;

/** `millrace evaluate`: prints the value of an expression on a stored event. @throws CliFailure if it has none because it fails */
export async function evaluate(connection: Connection, expression: string, options: EvaluateOptions, output: Output): Promise<void> {
  const { event, run } = options;
  if (event === undefined && run === undefined) throw new CliFailure('Give the event by --event, or a run on it by --run', 'unusable');
  const variables = { expression, event, run, names: options.names === undefined ? undefined : namesOf(options.names) };
  const { evaluate: evaluated } = await ask<{ evaluate: Evaluated }>(connection, query, variables);
  const { value, type, error, warnings, durationMs } = evaluated;
  for (const warning of warnings) output.note(`warning: ${warning}`);
  if (error !== null)
    throw new CliFailure([...placeOf(expression, error.position), `${error.code}: ${error.message}`].join('\n'), 'refused');
  output.result(evaluated, JSON.stringify(value, null, 2));
  output.note(`${type?.toLowerCase()}, ${durationMs} ms`);
}

/** @throws CliFailure */
function namesOf(text: string): Json {
  try {
    return parseJson(text);
  } catch (error) {
    throw new CliFailure(`--names is no JSON: ${(error as Error).message}`, 'unusable');
  }
}

/** The expression with a mark below the character at which it failed, if it is one line. */
function placeOf(expression: string, position: number | null): string[] {
  return position === null || /\n/.test(expression) ? [] : [expression, `${' '.repeat(Math.max(0, position - 1))}^`];
}
