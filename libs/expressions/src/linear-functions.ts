import type jsonata from 'jsonata';
import { LosslessNumber, parseStoredJson } from '#libs/json';

type Comparator = (left: unknown, right: unknown) => unknown;

/** The longest result of `$pad`, in characters: a longer one would be refused only after it was made. */
const maxPadding = 4 * 1024 * 1024;

/**
 * Replacements for four JSONata functions whose own versions need time or memory out of proportion to their input: `$sort` of 60 000 numbers
 * runs out of memory, `$spread` of as many objects takes half a minute, and JSONata checks its time limit only between expressions. These
 * return the same results in about linear time. The fifth, `$clone`, rounds numbers to 15 digits in its own version.
 */
export function replaceSlowFunctions(expression: jsonata.Expression): void {
  expression.registerFunction('sort', sort, '<af?:a>');
  expression.registerFunction('distinct', distinct, '<x:x>');
  expression.registerFunction('spread', spread, '<x-:a<o>>');
  expression.registerFunction('pad', pad, '<s-ns?:s>');
  expression.registerFunction('clone', clone, '<(oa)-:o>');
}

/** A stable sort. The expression's comparator returns true if its arguments are in the wrong order; the time limit is checked at its calls. */
async function sort(items: unknown[] | undefined, isAfter: Comparator | undefined): Promise<unknown[] | undefined> {
  if (items === undefined || items.length <= 1) return items;
  if (isAfter !== undefined) return mergeSort(items, isAfter);
  const type = typeOf(items[0]);
  // JSONata derives the message from the code.
  if ((type !== 'number' && type !== 'string') || items.some((item) => typeOf(item) !== type)) throw refusal('D3070');
  return items.toSorted((left, right) => ((left as number) > (right as number) ? 1 : (left as number) < (right as number) ? -1 : 0));
}

/** A lossless number is a number, and is compared as the nearest double. */
function typeOf(value: unknown): string {
  return value instanceof LosslessNumber ? 'number' : typeof value;
}

async function mergeSort(items: readonly unknown[], isAfter: Comparator): Promise<unknown[]> {
  let sorted = [...items];
  for (let width = 1; width < sorted.length; width *= 2) {
    const merged: unknown[] = [];
    for (let start = 0; start < sorted.length; start += 2 * width) {
      const middle = Math.min(start + width, sorted.length);
      const end = Math.min(start + 2 * width, sorted.length);
      let left = start;
      let right = middle;
      while (left < middle && right < end) merged.push((await isAfter(sorted[left], sorted[right])) ? sorted[right++] : sorted[left++]);
      while (left < middle) merged.push(sorted[left++]);
      while (right < end) merged.push(sorted[right++]);
    }
    sorted = merged;
  }
  return sorted;
}

/** Keeps the first of equal values. Objects are equal whatever the order of their keys. */
function distinct(items: unknown): unknown {
  if (!Array.isArray(items) || items.length <= 1) return items;
  const known = new Set<unknown>();
  const kept = items.filter((item) => {
    const identity = identityOf(item);
    if (known.has(identity)) return false;
    known.add(identity);
    return true;
  });
  return isSequence(items) ? sequence(kept) : kept;
}

/** A text that is equal for equal JSON. A function, and a value that holds one, is equal only to itself. */
function identityOf(value: unknown): unknown {
  if (typeof value === 'string') return `text ${value}`;
  if (typeof value !== 'object' || value === null) return value;
  let isJson = true;
  const text = JSON.stringify(value, (_key, part: unknown) => {
    if (typeof part === 'function') isJson = false;
    if (typeof part !== 'object' || part === null) return part;
    const fields: [string, unknown][] = Object.entries(part);
    if (Array.isArray(part)) fields.push(['length', part.length]); // to JSONata [] and { "length": 0 } are equal
    return Object.fromEntries(fields.toSorted(([one], [other]) => (one < other ? -1 : 1)));
  });
  return isJson ? `json ${text}` : value;
}

/** The fields of objects, each as an object of its own; of an array, those of all its items. */
function spread(value: unknown): unknown {
  if (!Array.isArray(value)) return isPlain(value) ? sequence(fieldsOf(value)) : value;
  const parts = value.flatMap((item: unknown): unknown[] => {
    const fields = spread(item);
    return fields === undefined ? [] : Array.isArray(fields) ? fields : [fields];
  });
  return value.length === 0 ? sequence(parts) : parts;
}

function fieldsOf(value: object): object[] {
  return Object.entries(value).map(([key, part]) => ({ [key]: part as unknown }));
}

function isPlain(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !('_jsonata_lambda' in value);
}

/** The transform operator changes a copy. */
function clone(value: unknown): unknown {
  return value === undefined ? undefined : parseStoredJson(JSON.stringify(value));
}

function pad(text: string | undefined, width: number, fill: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  if (Math.abs(width) > maxPadding) throw new Error(`$pad to ${width} characters is more than ${maxPadding}`);
  const missing = Math.abs(Math.trunc(width)) - codePoints(text).length;
  if (missing <= 0) return text;
  const pattern = codePoints(fill || ' ');
  const padding = pattern.join('').repeat(Math.floor(missing / pattern.length)) + pattern.slice(0, missing % pattern.length).join('');
  return width > 0 ? text + padding : padding + text;
}

/** The characters of a text as JSONata counts them. */
function codePoints(text: string): string[] {
  return Array.from(text);
}

/** Marks a list as a JSONata sequence: a sequence of one item is that item, and an empty one is no value. */
function sequence(items: unknown[]): unknown[] {
  return Object.defineProperty(items, 'sequence', { enumerable: false, value: true });
}

function isSequence(items: unknown[]): boolean {
  return 'sequence' in items && items.sequence === true;
}

function refusal(code: string): Error {
  return Object.assign(new Error(code), { code, index: 1 });
}
