import type { CheckedConnection, ConnectionMistake } from './connection-check.js';
import type { FixedStatement } from './fixed-statement.js';
import { countedPlaceholders, numberedPlaceholders } from './placeholders.js';

/** The mistakes of statements whose values stand at `$1`, `$2`, …. */
export function numberedValueMistakes(connection: CheckedConnection): ConnectionMistake[] {
  return mistakesOf(connection, ({ sql, values = [] }) => {
    const numbers = numberedPlaceholders(sql);
    const most = Math.max(0, ...numbers);
    if (most > values.length) return `must name a value for each of $1 to $${most} in \`sql\`, in that order; ${namedIn(values)}`;
    const unused = values.flatMap((name, at) => (numbers.has(at + 1) ? [] : [`$${at + 1} (${name})`]));
    return unused.length === 0 ? undefined : `names values that \`sql\` does not use: ${unused.join(', ')}; leave them out, or use them`;
  });
}

/** The mistakes of statements whose values stand at `?`. */
export function countedValueMistakes(connection: CheckedConnection): ConnectionMistake[] {
  return mistakesOf(connection, ({ sql, values = [] }) => {
    const places = countedPlaceholders(sql);
    if (places === values.length) return undefined;
    return `must name a value for each ? in \`sql\`, in their order: \`sql\` has ${places}; ${namedIn(values)}`;
  });
}

function mistakesOf({ settings }: CheckedConnection, mistakeIn: (statement: FixedStatement) => string | undefined): ConnectionMistake[] {
  const statements = settings['statements'] as unknown as Readonly<Record<string, FixedStatement>>;
  return Object.entries(statements).flatMap(([name, statement]) => {
    const message = mistakeIn(statement);
    return message === undefined ? [] : [{ path: ['settings', 'statements', name, 'values'], message }];
  });
}

function namedIn(values: readonly string[]): string {
  return values.length === 0 ? 'it names none' : `it names ${values.join(', ')}`;
}
