import { LosslessNumber, canonical } from '#libs/json';
import type { Json } from '#libs/json';

/** One place at which two values differ. Undefined: the value has nothing there. */
export interface ValueDifference {
  /** Such as `decision.lines[2].sku`. */
  readonly path: string;
  readonly before?: Json;
  readonly after?: Json;
}

export interface ValueDifferences {
  readonly kept: readonly ValueDifference[];
  /** Also of those that are not kept. */
  readonly count: number;
}

/** The most that are kept, and the most characters of each value in one. */
const mostKept = 50;
const longestValue = 2_000;

/** The places at which two values differ. Numbers that are written differently are the same. */
export function differencesBetween(before: Json, after: Json): ValueDifferences {
  const kept: ValueDifference[] = [];
  let count = 0;
  const note = (difference: ValueDifference): void => {
    count += 1;
    if (kept.length < mostKept) kept.push(difference);
  };
  walk('', before, after, note);
  return { kept, count };
}

/** True if both are the same value, in whatever order their members come. */
export function isSameValue(one: Json, other: Json): boolean {
  return differencesBetween(one, other).count === 0;
}

function walk(path: string, before: Json | undefined, after: Json | undefined, note: (difference: ValueDifference) => void): void {
  if (Array.isArray(before) && Array.isArray(after)) {
    for (let at = 0; at < Math.max(before.length, after.length); at += 1) walk(`${path}[${at}]`, before[at], after[at], note);
  } else if (isObject(before) && isObject(after)) {
    for (const name of new Set([...Object.keys(before), ...Object.keys(after)]))
      walk(path === '' ? name : `${path}.${name}`, memberOf(before, name), memberOf(after, name), note);
  } else if (textOf(before) !== textOf(after)) {
    note({ path, ...(before !== undefined && { before: short(before) }), ...(after !== undefined && { after: short(after) }) });
  }
}

function memberOf(object: Readonly<Record<string, Json>>, name: string): Json | undefined {
  return Object.hasOwn(object, name) ? object[name] : undefined;
}

function isObject(value: Json | undefined): value is { [name: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !((value as unknown) instanceof LosslessNumber);
}

function textOf(value: Json | undefined): string | undefined {
  if ((value as unknown) instanceof LosslessNumber) {
    const number = value as unknown as LosslessNumber;
    return number.isDouble() ? String(Number(number)) : number.canonical();
  }
  return value === undefined ? undefined : JSON.stringify(canonical(value));
}

function short(value: Json): Json {
  const text = JSON.stringify(value);
  return text.length <= longestValue ? value : `${text.slice(0, longestValue)}…`;
}
