import type { Evaluator } from '#libs/evaluation';
import { parseStoredJson } from '#libs/json';
import { SchemaRefused } from './json-schema.js';
import { compileCheck } from './schema-check.js';

/** The program of the processes that check values: the text is a schema; the input is a value in a list, or nothing where only the schema is asked about. */
export function compile(text: string): Evaluator {
  try {
    const check = compileCheck(parseStoredJson(text) as object);
    return async (input) => ({ value: (input as unknown[]).flatMap((value) => check.problemsOf(value)) });
  } catch (error) {
    if (!(error instanceof SchemaRefused)) throw error;
    const { message } = error;
    return async () => ({ failure: { reason: message, limit: undefined } });
  }
}
