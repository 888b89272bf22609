import { LosslessNumber } from '#libs/json';
import { InputRefused } from './operation.errors.js';

/**
 * A query in SOQL with values in the place of `:name`. Texts are quoted and escaped, so that none can end its quotes:
 * https://developer.salesforce.com/docs/atlas.en-us.soql_sosl.meta/soql_sosl/sforce_api_calls_soql_select_quotedstringescapes.htm
 * @throws InputRefused
 */
export function soqlOf(text: string, values: ReadonlyMap<string, unknown>): string {
  return text.replaceAll(/'(?:[^'\\]|\\.)*'|:([A-Za-z]\w*)/g, (whole, name: string | undefined) =>
    name === undefined ? whole : literal(values.get(name), name),
  );
}

const escapes: Readonly<Record<string, string>> = {
  '\\': String.raw`\\`,
  "'": String.raw`\'`,
  '"': String.raw`\"`,
  '\n': String.raw`\n`,
  '\r': String.raw`\r`,
  '\t': String.raw`\t`,
  '\b': String.raw`\b`,
  '\f': String.raw`\f`,
};

function literal(value: unknown, name: string): string {
  if (value === null) return 'null';
  if (typeof value === 'string') return `'${value.replaceAll(/[\\'"\n\r\t\b\f]/g, (char) => escapes[char]!)}'`;
  if (typeof value === 'number' || typeof value === 'boolean' || value instanceof LosslessNumber) return String(value);
  if (Array.isArray(value) && value.length > 0) return `(${value.map((item) => literal(item, name)).join(', ')})`;
  throw new InputRefused(
    `The value :${name} of the query is ${value === undefined ? 'missing' : 'neither a text, a number, nor a list of some'}`,
  );
}
