import { LosslessNumber } from '#libs/json';
import type { Violation } from './input.errors.js';

interface Place {
  readonly value: unknown;
  readonly key: string;
  readonly parent?: Place;
}

/**
 * The first value in an input that cannot be stored as it was sent: a text that Postgres refuses (it takes no NUL, and UTF-8 has no form for half of a
 * surrogate pair), or a number that no double is. Undefined if there is none. Names of fields count, because documents have fields that their author names. Does not recurse, because an input
 * may be nested deeper than the stack allows.
 */
export function unstorableValue(input: unknown): Violation | undefined {
  const places: Place[] = [{ value: input, key: '' }];
  for (let place = places.pop(); place !== undefined; place = places.pop()) {
    const { value } = place;
    if (typeof value === 'string') {
      const problem = problemOf(value);
      if (problem !== undefined) return { path: pathOf(place), message: `has ${problem}` };
    } else if (value instanceof LosslessNumber) {
      return { path: pathOf(place), message: 'has more digits, or a larger exponent, than a double keeps; send it as text' };
    } else if (typeof value === 'object' && value !== null) {
      for (const [key, inner] of Object.entries(value).toReversed()) {
        const problem = problemOf(key);
        if (problem !== undefined) return { path: pathOf(place), message: `has a field whose name has ${problem}` };
        if (typeof inner === 'string' || typeof inner === 'object') places.push({ value: inner, key, parent: place });
      }
    }
  }
  return undefined;
}

function problemOf(text: string): string | undefined {
  if (text.includes('\u0000')) return 'the character U+0000, which cannot be stored; leave it out';
  if (!text.isWellFormed()) return 'half of a surrogate pair (U+D800 to U+DFFF), which is no character; send both halves or neither';
  return undefined;
}

function pathOf(place: Place): string[] {
  const path: string[] = [];
  for (let each = place; each.parent !== undefined; each = each.parent) path.unshift(each.key);
  return path;
}
