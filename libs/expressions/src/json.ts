import { LosslessNumber } from '#libs/json';
import type { Json } from '#libs/json';

/** More than the `maxJsonDepth` of an event, which expressions put into values of their own. Every part carries it, with our envelopes around it. */
const maxDepth = 200;
/** The largest value, in characters of text plus one per value: about its size as JSON. */
const maxSize = 4 * 1024 * 1024;

/** The result of an evaluation is larger than it may be. */
export class ResultTooLarge extends Error {}

/**
 * Copies what a JSONata evaluation returned to plain JSON: its sequences are arrays with properties of their own, its objects have no
 * prototype, and functions can stand among the values. A property without a value is left out.
 * @param maxValues most values, nested ones included
 * @throws ResultTooLarge
 * @throws Error whose message says what of the value is not JSON
 */
export function toJson(value: unknown, maxValues = Infinity): Json | undefined {
  let size = 0;
  let values = 0;
  const copy = (part: unknown, depth: number): Json | undefined => {
    if (depth > maxDepth) throw new Error(`the result is nested deeper than ${maxDepth} levels`);
    size += typeof part === 'string' ? part.length + 1 : 1;
    if (size > maxSize) throw new ResultTooLarge(`the result is larger than ${maxSize} characters`);
    values += 1;
    if (values > maxValues) throw new ResultTooLarge(`the result holds more than ${maxValues} values`);
    if (part === undefined || part === null || typeof part === 'boolean' || typeof part === 'string') return part;
    if (typeof part === 'number') {
      if (!Number.isFinite(part)) throw new Error(`the result holds ${part}, which is not a JSON number`);
      return part;
    }
    if (part instanceof LosslessNumber) {
      size += part.toString().length;
      return part;
    }
    if (Array.isArray(part)) return Array.from(part, (item) => copy(item, depth + 1) ?? null);
    if (typeof part !== 'object' || '_jsonata_function' in part || '_jsonata_lambda' in part) {
      throw new Error('the result holds a function, which is not JSON');
    }
    const entries: [string, Json][] = [];
    for (const [key, item] of Object.entries(part)) {
      size += key.length;
      const copied = copy(item, depth + 1);
      if (copied !== undefined) entries.push([key, copied]);
    }
    return Object.fromEntries(entries);
  };
  return copy(value, 0);
}
