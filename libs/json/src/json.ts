import { LosslessNumber } from './lossless-number.js';

/** A JSON value as the code has it. A number is a {@link LosslessNumber} where a JavaScript number would change its digits. */
export type Json = string | number | boolean | null | LosslessNumber | Json[] | { [key: string]: Json };

/**
 * The deepest nesting of arrays and objects that is taken in, whoever sends it. Every part carries it, with room for the envelopes that are put around
 * it; so do the readers of destinations (of the common ones, serde_json has the lowest limit, this one).
 */
export const maxJsonDepth = 128;

/** True if a value that was parsed elsewhere is nested deeper than {@link maxJsonDepth}. */
export function isTooDeep(value: unknown): boolean {
  let level = [value].filter(isNested);
  for (let depth = 0; level.length > 0; depth += 1) {
    if (depth === maxJsonDepth) return true;
    level = level.flatMap((one) => Object.values(one) as unknown[]).filter(isNested);
  }
  return false;
}

function isNested(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !(value instanceof LosslessNumber);
}
