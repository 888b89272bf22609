import { numberOf, parseJson } from '#libs/json';
import type { Json } from '#libs/json';

/** https://mariadb.com/kb/en/result-set-packets/#field-types */
const numbers = new Set([0, 1, 2, 3, 4, 5, 8, 9, 13, 246]);
const document = 245;

/** A value as the client gives it. */
export type ColumnValue = string | number | bigint | Buffer | null | undefined;

/** How a value of a column becomes JSON: numbers with all their digits, JSON as such, bytes in hexadecimal, everything else as text. */
export function columnValue(value: ColumnValue, type: number | undefined): Json {
  if (value === null || value === undefined) return null;
  if (Buffer.isBuffer(value)) return `0x${value.toString('hex')}`;
  const text = String(value);
  if (type !== undefined && numbers.has(type)) return /^-?\d/.test(text) ? numberOf(text) : text;
  return type === document ? parseJson(text) : text;
}
