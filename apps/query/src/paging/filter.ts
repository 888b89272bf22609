import { ArgumentInvalid } from '../operations/input.errors.js';

/** The filter that a list's `_conditions` function reads: its keys name the conditions, and those that are not given are left out. */
export function conditions(given: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== null && value !== undefined));
}

/** The condition for a filter's `type`: the whole type, or a prefix when it ends with `*`. */
export function typeCondition(type: string | null | undefined): { type?: string; typePrefix?: string } {
  if (type == null) return {};
  if (!type.includes('*')) return { type };
  if (type.indexOf('*') !== type.length - 1) throw new ArgumentInvalid('filter.type', 'may have a * at its end only');
  return { typePrefix: type.slice(0, -1) };
}
