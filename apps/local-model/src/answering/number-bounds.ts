import type { Schema } from './schema-references.js';

/** Returns the nearest number that the schema allows, rounded to two decimals unless the schema sets a step. */
export function bounded(number: number, schema: Schema): number {
  const { minimum, maximum, exclusiveMinimum, exclusiveMaximum, multipleOf } = schema as Record<string, number | undefined>;
  const step = multipleOf ?? (isWhole(schema['type']) ? 1 : 0.01);
  const exact = multipleOf !== undefined || isWhole(schema['type']);
  const lowest = Math.max(minimum ?? -Infinity, exclusiveMinimum === undefined ? -Infinity : exclusiveMinimum + step);
  const highest = Math.min(maximum ?? Infinity, exclusiveMaximum === undefined ? Infinity : exclusiveMaximum - step);
  const rounded = onStep(number, step, Math.round);
  if (rounded < lowest) return exact ? onStep(lowest, step, Math.ceil) : lowest;
  if (rounded > highest) return exact ? onStep(highest, step, Math.floor) : highest;
  return rounded;
}

function isWhole(type: unknown): boolean {
  return type === 'integer' || (Array.isArray(type) && type.includes('integer') && !type.includes('number'));
}

/** Removes the error of binary fractions: 0.3, not 0.30000000000000004. */
function onStep(value: number, step: number, round: (quotient: number) => number): number {
  return Number((round(value / step) * step).toFixed(10));
}
