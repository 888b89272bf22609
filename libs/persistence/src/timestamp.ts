import { types } from 'pg';

/** Parses what `pg` parses, from the whole text. */
const parseAny = types.getTypeParser(types.builtins.TIMESTAMPTZ, 'text') as (text: string) => Date;

/** `2026-11-29 10:12:13.456+00`, as Postgres writes a `timestamptz` of the years 100 to 9999 in UTC. Anything else is left to `pg`. */
export function parseTimestamp(text: string): Date {
  if (!text.endsWith('+00') || text.charCodeAt(4) !== dash || text.charCodeAt(10) !== space || text.startsWith('00')) return parseAny(text);
  const year = pairAt(text, 0) * 100 + pairAt(text, 2);
  return new Date(
    Date.UTC(year, pairAt(text, 5) - 1, pairAt(text, 8), pairAt(text, 11), pairAt(text, 14), pairAt(text, 17), milliseconds(text)),
  );
}

const dash = 0x2d;
const space = 0x20;
const zero = 0x30;
/** The index of the first digit of a fraction of a second. */
const fractionAt = 20;

function pairAt(text: string, at: number): number {
  return (text.charCodeAt(at) - zero) * 10 + text.charCodeAt(at + 1) - zero;
}

/** The first three digits of the fraction, which Postgres writes without zeros at its end. */
function milliseconds(text: string): number {
  const end = Math.min(text.length - 3, fractionAt + 3);
  let value = 0;
  for (let at = fractionAt; at < fractionAt + 3; at += 1) value = value * 10 + (at < end ? text.charCodeAt(at) - zero : 0);
  return value;
}
