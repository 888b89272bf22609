import { LosslessNumber } from '#libs/json';
import type { Json } from '#libs/json';

/** One place at which a value is not what was expected. */
export interface Difference {
  /** Such as `decision.lines.0`. */
  readonly path: string;
  readonly expected: Json | undefined;
  readonly found: Json | undefined;
}

/**
 * The places where a value lacks what is expected of it: an object may have more members, a list has the same number of items. `10.00` is the
 * number 10.
 */
export function differences(path: string, expected: Json, found: Json | undefined): Difference[] {
  if (isObject(expected) && isObject(found)) {
    return Object.entries(expected).flatMap(([key, value]) => differences(`${path}.${key}`, value, found[key]));
  }
  if (Array.isArray(expected) && Array.isArray(found)) {
    const items = expected.flatMap((item, at) => (at < found.length ? differences(`${path}.${at}`, item, found[at]) : []));
    return expected.length === found.length
      ? items
      : [...items, { path: `${path}.length`, expected: expected.length, found: found.length }];
  }
  return isSame(expected, found) ? [] : [{ path, expected, found }];
}

function isSame(one: Json, other: Json | undefined): boolean {
  return isNumber(one) && isNumber(other) ? Number(one) === Number(other) : JSON.stringify(one) === JSON.stringify(other);
}

function isNumber(value: Json | undefined): value is number | LosslessNumber {
  return typeof value === 'number' || value instanceof LosslessNumber;
}

function isObject(value: Json | undefined): value is { [key: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof LosslessNumber);
}
