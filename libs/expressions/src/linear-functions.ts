import type jsonata from 'jsonata';

type Comparator = (left: unknown, right: unknown) => unknown;

/** Characters that `$pad` fills up to; a longer result would be refused, but only after it was made. */
const maxPadding = 4 * 1024 * 1024;

/**
 * JSONata looks at its clock between expressions, not within its own functions, and four of these need time or memory out of all proportion to
 * their input: `$sort` of 60 000 numbers ends the process for lack of memory, `$spread` of as many objects holds it up for half a minute, and
 * events of that size come from partners. Here they are again, with the same results, in about linear time.
 */
export function replaceSlowFunctions(expression: jsonata.Expression): void {
  expression.registerFunction('sort', sort, '<af?:a>');
  expression.registerFunction('distinct', distinct, '<x:x>');
  expression.registerFunction('spread', spread, '<x-:a<o>>');
  expression.registerFunction('pad', pad, '<s-ns?:s>');
}

/** Stable. A comparator of the expression's own is true where its arguments are in the wrong order; calls of it are what the time limit sees. */
async function sort(items: unknown[] | undefined, isAfter: Comparator | undefined): Promise<unknown[] | undefined> {
  if (items === undefined || items.length <= 1) return items;
  if (isAfter !== undefined) return mergeSort(items, isAfter);
  const [first] = items;
  const type = typeof first;
  // JSONata makes the message of its code.
  if ((type !== 'number' && type !== 'string') || items.some((item) => typeof item !== type)) throw refusal('D3070');
  return items.toSorted((left, right) => ((left as number) > (right as number) ? 1 : (left as number) < (right as number) ? -1 : 0));
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

/** Of equal values the first one stays; objects are equal whatever the order of their keys. */
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

/** Equal for equal JSON; functions among the values equal only themselves, as values do that hold one. */
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

function pad(text: string | undefined, width: number, fill: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  if (Math.abs(width) > maxPadding) throw new Error(`$pad to ${width} characters is more than ${maxPadding}`);
  const missing = Math.abs(Math.trunc(width)) - codePoints(text).length;
  if (missing <= 0) return text;
  const pattern = codePoints(fill || ' ');
  const padding = pattern.join('').repeat(Math.floor(missing / pattern.length)) + pattern.slice(0, missing % pattern.length).join('');
  return width > 0 ? text + padding : padding + text;
}

/** What JSONata counts as characters. */
function codePoints(text: string): string[] {
  return Array.from(text);
}

/** What JSONata takes for one of its own lists: a list of one is that one, and an empty one is nothing. */
function sequence(items: unknown[]): unknown[] {
  return Object.defineProperty(items, 'sequence', { enumerable: false, value: true });
}

function isSequence(items: unknown[]): boolean {
  return 'sequence' in items && items.sequence === true;
}

function refusal(code: string): Error {
  return Object.assign(new Error(code), { code, index: 1 });
}
