import type { ConnectorOperation } from '#libs/contracts';
import { writtenFields } from '#libs/expressions';
import { didYouMean } from '#libs/schemas';
import type { DocumentProblem } from './document-problem.js';

/** The most fields that are named. */
const mostNames = 20;

/** The fields that an operation does not take, or cannot do without, where the text of the expression for its input tells them. */
export function inputProblems(
  input: string | undefined,
  {
    operation,
    schema,
    path,
  }: { readonly operation: string; readonly schema: ConnectorOperation['input']; readonly path: readonly string[] },
): DocumentProblem[] {
  const made = input === undefined ? undefined : writtenFields(input);
  if (made === undefined) return [];
  const { properties = {}, required = [], additionalProperties, patternProperties } = schema as InputSchema;
  const known = Object.keys(properties);
  const isClosed = additionalProperties === false && patternProperties === undefined;
  const unknown = isClosed ? made.filter((name) => !known.includes(name)) : [];
  const missing = required.filter((name) => !made.includes(name));
  const takes = known.length === 0 ? 'it takes nothing' : `it takes ${known.slice(0, mostNames).join(', ')}`;
  return [
    ...unknown.map((name) => `has ${name}, which ${operation} does not take${didYouMean(name, known)} (${takes})`),
    ...missing.map((name) => `has no ${name}, which ${operation} needs`),
  ].map((message) => ({ path: [...path], message }));
}

interface InputSchema {
  readonly properties?: object;
  readonly required?: readonly string[];
  readonly additionalProperties?: unknown;
  readonly patternProperties?: object;
}
