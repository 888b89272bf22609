import { z } from 'zod';
import type { Json } from '#libs/json';

/** The years 0001 to 9999 in UTC: those that RFC 3339, JavaScript and Postgres can all write. */
const firstMs = Date.parse('0001-01-01T00:00:00Z');
const endMs = Date.parse('9999-12-31T23:59:59.999Z') + 1;

/** A number, or the digits of one, that would be after the year 5138 as seconds since 1970 is milliseconds. */
const firstMilliseconds = 100_000_000_000;
const digits = /^\d{9,14}(?:\.\d{1,9})?$/;

/**
 * ISO 8601 in its basic or extended form with an offset: RFC 3339, and what partners write that differs from it only in form (a space or
 * underscore for the T, an offset without a colon or minutes, `UTC`, a comma, no seconds).
 */
const iso8601 =
  /^(\d{4})(?:-(\d\d)-|(\d\d))(\d\d)[T _](\d\d):?(\d\d)(?::?(\d\d)(?:[.,](\d{1,9})\d*)?)? ?(?:(Z|UTC|GMT)|([+-]\d\d)(?::?(\d\d))?)$/;

const rfc3339 = z.iso.datetime({ offset: true });

/**
 * Reads a time: seconds or milliseconds since 1970, as a number or its digits, or ISO 8601 with an offset. A time without an offset could be any of
 * 38 times, and is not guessed.
 * @returns RFC 3339 in UTC, with milliseconds; null if the value is no time of the years 0001 to 9999
 */
export function instant(value: Json | undefined): string | null {
  if (typeof value === 'number') return fromNumber(value);
  if (typeof value !== 'string') return null;
  if (digits.test(value)) return fromNumber(Number(value));
  const [, year, month, basicMonth, day, hour, minute, second = '00', fraction = '0', zulu, offsetHours, offsetMinutes = '00'] =
    iso8601.exec(value.toUpperCase()) ?? [];
  if (year === undefined) return null;
  const offset = zulu === undefined ? `${offsetHours}:${offsetMinutes}` : 'Z';
  return rfc3339Instant(`${year}-${month ?? basicMonth}-${day}T${hour}:${minute}:${second}.${fraction}${offset}`);
}

/** Reads RFC 3339 and nothing else, as CloudEvents asks for. The second 60 of a leap second is the next one. */
export function rfc3339Instant(text: string): string | null {
  const upperCase = text.toUpperCase(); // RFC 3339 allows `t` and `z`, too
  const isLeap = /:60(?:\.|Z|[+-])/.test(upperCase);
  const readable = isLeap ? upperCase.replace(':60', ':59') : upperCase;
  return rfc3339.safeParse(readable).success ? fromMs(Date.parse(readable) + (isLeap ? 1_000 : 0)) : null;
}

function fromNumber(value: number): string | null {
  return fromMs(value < firstMilliseconds ? value * 1_000 : value);
}

function fromMs(ms: number): string | null {
  return ms >= firstMs && ms < endMs ? new Date(ms).toISOString() : null;
}
