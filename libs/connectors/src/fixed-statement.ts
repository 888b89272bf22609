import type { Json } from '#libs/json';
import { LosslessNumber } from '#libs/json';
import type { DriverCall } from './driver.js';
import { InputRefused } from './operation.errors.js';

/** A statement of the connection's settings, which fit the schema of the manifest. */
export interface FixedStatement {
  readonly operation: string;
  readonly sql: string;
  readonly values?: readonly string[];
  readonly maxRows?: number;
  /** The unique key that an upsert sets rows by, where the database does not read it from the statement. */
  readonly key?: { readonly table: string; readonly columns: readonly string[] };
}

export interface ValueOptions {
  /** The text of true and of false. Default: those words. */
  readonly booleans?: readonly [yes: string, no: string];
}

/** The values of a statement in its order, each as a text that the server reads by the type of its place; null for none. */
export type StatementValues = readonly (string | null)[];

/** The statement that the input names, if it belongs to the operation. @throws InputRefused */
export function statementOf({ settings, input, operation }: Pick<DriverCall, 'settings' | 'input' | 'operation'>): FixedStatement {
  const statements = settings['statements'] as unknown as Readonly<Record<string, FixedStatement>>;
  const { statement: name } = input as { statement: string };
  const found = Object.hasOwn(statements, name) ? statements[name] : undefined;
  if (found === undefined) {
    const known = Object.keys(statements).join(', ');
    throw new InputRefused(`input.statement names no statement of the connection: ${JSON.stringify(name.slice(0, 80))} (it has ${known})`);
  }
  if (found.operation !== operation)
    throw new InputRefused(`The statement ${name} is for the operation ${found.operation}, and this is ${operation}`);
  return found;
}

/** @throws InputRefused if a value is missing, one is too many, or one is no text of Unicode */
export function valuesOf(
  { values: names = [] }: FixedStatement,
  input: Json,
  { booleans = ['true', 'false'] }: ValueOptions = {},
): StatementValues {
  const { values = {} } = input as { values?: Readonly<Record<string, Json>> };
  const unknown = Object.keys(values).find((name) => !names.includes(name));
  if (unknown !== undefined)
    throw new InputRefused(`input.values.${unknown.slice(0, 80)} is no value of the statement: it has ${names.join(', ') || 'none'}`);
  return names.map((name) => {
    if (!Object.hasOwn(values, name)) throw new InputRefused(`input.values.${name} is missing: null stands for no value`);
    const value = values[name]!;
    const text = typeof value === 'boolean' ? booleans[value ? 0 : 1] : textOf(value);
    if (text !== null && (!text.isWellFormed() || text.includes('\u0000')))
      throw new InputRefused(`input.values.${name} is no text that a database can hold: it has a NUL or half of a character`);
    return text;
  });
}

function textOf(value: Json): string | null {
  if (value === null) return null;
  if (typeof value === 'string') return value;
  if (typeof value === 'object' && !(value instanceof LosslessNumber)) return JSON.stringify(value);
  return String(value);
}
