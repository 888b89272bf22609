import { JsonTooDeep, LosslessNumber, parseJson } from '#libs/json';
import type { Json } from '#libs/json';

/** A text or a number within a value. */
export interface Leaf {
  /** JSON Pointer, in which names of properties are cut to 60 characters. */
  readonly pointer: string;
  readonly value: string | number | LosslessNumber;
  /** True for the name of a property. */
  readonly isName: boolean;
}

const longestName = 60;

/** All texts and numbers in a value, names of properties included. */
export function* leavesOf(value: unknown, pointer = ''): Generator<Leaf> {
  if (typeof value === 'string' || typeof value === 'number' || value instanceof LosslessNumber) yield { pointer, value, isName: false };
  else if (Array.isArray(value)) for (const [at, item] of value.entries()) yield* leavesOf(item, `${pointer}/${at}`);
  else if (typeof value === 'object' && value !== null) {
    for (const [name, item] of Object.entries(value)) {
      yield { pointer, value: name, isName: true };
      yield* leavesOf(item, `${pointer}/${name.slice(0, longestName)}`);
    }
  }
}

/**
 * The texts of an input in which a model can have read something: each text, each name of a property, the digits of each number. A text that is JSON also
 * counts with what it holds.
 */
export function textsOf(input: unknown): string[] {
  const texts: string[] = [];
  for (const { value } of leavesOf(input)) {
    const text = String(value);
    texts.push(text);
    const held = /^\s*[[{]/.test(text) ? heldBy(text) : undefined;
    if (held !== undefined) for (const inner of textsOf(held)) texts.push(inner);
  }
  return texts;
}

function heldBy(text: string): Json | undefined {
  try {
    return parseJson(text);
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof JsonTooDeep) return undefined;
    throw error;
  }
}
