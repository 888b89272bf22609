import { rfc3339Instant } from '#libs/intake';
import { LosslessNumber, parseJson } from '#libs/json';
import type { Json } from '#libs/json';

/** A value of the cursor of a pull. */
export type CursorValue = string | number | LosslessNumber;

const longestCharacters = 256;

/** The value, if a cursor can have it. */
export function usableCursor(value: Json | undefined): CursorValue | undefined {
  if (typeof value === 'number' || value instanceof LosslessNumber) return value;
  return typeof value === 'string' && value !== '' && value.length <= longestCharacters ? value : undefined;
}

/** A stored value. */
export function storedCursor(text: string | null): CursorValue | undefined {
  return text === null ? undefined : usableCursor(parseJson(text));
}

/** The kind of a value. Values of two kinds have no order that means anything: as text, "yesterday" is greater than every time. */
export function cursorKind(value: CursorValue): 'a number' | 'a time' | 'text' {
  if (typeof value !== 'string') return 'a number';
  return isoTime.test(value) ? 'a time' : 'text';
}

/** A date of ISO 8601, with or without a time and a zone. */
const isoTime = /^\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}\S*(?: \S+)?)?$/i;

/** The greater one of two values. Where they cannot be compared, because one is a number and the other is text, the first one stays. */
export function greater(one: CursorValue | undefined, other: CursorValue | undefined): CursorValue | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return isGreater(other, one) ? other : one;
}

/** True if both can be compared, and the first one is greater. */
export function isGreater(one: CursorValue, other: CursorValue): boolean {
  if (typeof one === 'string' && typeof other === 'string') {
    const [oneTime, otherTime] = [rfc3339Instant(one), rfc3339Instant(other)];
    return oneTime !== null && otherTime !== null && oneTime !== otherTime ? oneTime > otherTime : one > other; // within a millisecond, by the fraction
  }
  if (typeof one === 'string' || typeof other === 'string') return false;
  const [oneText, otherText] = [String(one), String(other)];
  const areWhole = [oneText, otherText].every((text) => /^-?\d+$/.test(text));
  return areWhole ? BigInt(oneText) > BigInt(otherText) : Number(oneText) > Number(otherText);
}
