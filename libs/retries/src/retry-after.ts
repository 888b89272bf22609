/**
 * The forms of an HTTP date (RFC 9110 §5.6.7): senders use the first, recipients accept all three. `Date.parse` is not used, because it takes
 * texts such as `-5` or `2026` for dates.
 */
const httpDates = [
  /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), (\d{2}) ([A-Z][a-z]{2}) (\d{4}) (\d{2}):(\d{2}):(\d{2}) GMT$/,
  /^(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day, (\d{2})-([A-Z][a-z]{2})-(\d{2}) (\d{2}):(\d{2}):(\d{2}) GMT$/,
];
const asctimeDate = /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) ([A-Z][a-z]{2}) ([ \d]\d) (\d{2}):(\d{2}):(\d{2}) (\d{4})$/;
const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** A longer pause that a model provider or a destination asks for is cut to this. */
export const longestPauseMs = 24 * 3_600_000;

/**
 * Reads a `Retry-After` header (RFC 9110 §10.2.3): seconds or an HTTP date.
 * @returns ms from now, 0 for a date that has passed, at most {@link longestPauseMs}; undefined if the header is absent or has neither form
 */
export function parseRetryAfter(value: string | null | undefined, nowMs: number): number | undefined {
  const text = value?.trim();
  if (!text) return undefined;
  if (/^\d{1,9}$/.test(text)) return Math.min(Number(text) * 1_000, longestPauseMs);
  const date = parseHttpDate(text, nowMs);
  return date === undefined ? undefined : Math.min(Math.max(0, date - nowMs), longestPauseMs);
}

function parseHttpDate(text: string, nowMs: number): number | undefined {
  for (const form of httpDates) {
    const [, day, month, year, hours, minutes, seconds] = form.exec(text) ?? [];
    if (day !== undefined) return utc(fullYear(Number(year), nowMs), month!, day, hours!, minutes!, seconds!);
  }
  const [, month, day, hours, minutes, seconds, year] = asctimeDate.exec(text) ?? [];
  return month === undefined ? undefined : utc(Number(year), month, day!, hours!, minutes!, seconds!);
}

/** A two-digit year more than 50 years ahead belongs to the century before (RFC 9110 §5.6.7). */
function fullYear(year: number, nowMs: number): number {
  if (year > 99) return year;
  const thisYear = new Date(nowMs).getUTCFullYear();
  const inThisCentury = thisYear - (thisYear % 100) + year;
  return inThisCentury > thisYear + 50 ? inThisCentury - 100 : inThisCentury;
}

function utc(year: number, month: string, day: string, hours: string, minutes: string, seconds: string): number | undefined {
  const at = months.indexOf(month);
  if (at < 0 || Number(day) > 31 || Number(hours) > 23 || Number(minutes) > 59 || Number(seconds) > 60) return undefined;
  return Date.UTC(year, at, Number(day), Number(hours), Number(minutes), Number(seconds));
}
