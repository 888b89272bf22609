import type { z } from 'zod';

/** The `params` of an issue about a name that does not exist, for whoever tells the problem with a similar name. */
export interface UnknownName {
  readonly given: string;
  readonly known: readonly string[];
}

const things: Record<string, string> = {
  array: 'a list',
  boolean: 'true or false',
  int: 'a whole number',
  number: 'a number',
  object: 'an object',
  record: 'an object',
  string: 'text',
};
/** The messages of {@link wordsForIssue} for a value of another type. */
export const wordsForTypes: ReadonlySet<string> = new Set(Object.values(things).map((thing) => `must be ${thing}`));
const units: Record<string, string> = { array: 'items', string: 'characters' };

function sizeOf(origin: string, bound: string, limit: number | bigint): string {
  const unit = units[origin];
  return unit === undefined ? `be ${bound} ${limit}` : `have ${bound} ${limit} ${unit}`;
}

/** The message for an issue whose schema has none of its own, for people who write documents or requests; undefined: zod's message. */
export function wordsForIssue(issue: z.core.$ZodRawIssue): string | undefined {
  if (issue.code === 'invalid_type')
    return issue.input === undefined ? 'is missing' : `must be ${things[issue.expected] ?? issue.expected}`;
  if (issue.code === 'invalid_value') return `must be ${issue.values.length === 1 ? '' : 'one of '}${issue.values.join(', ')}`;
  if (issue.code === 'too_big') return `must ${sizeOf(issue.origin, 'at most', issue.maximum)}`;
  if (issue.code === 'too_small' && issue.inclusive === false) return `must be greater than ${issue.minimum}`;
  if (issue.code === 'too_small')
    return issue.minimum === 1 && issue.origin in units ? 'must not be empty' : `must ${sizeOf(issue.origin, 'at least', issue.minimum)}`;
  return undefined;
}
