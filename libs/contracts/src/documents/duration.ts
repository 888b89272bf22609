import { z } from 'zod';

/** The longest wait of a step: 90 days. */
export const longestWaitMs = 90 * 86_400_000;

const durationPattern = /^P(?=.)(?:(\d{1,4})W)?(?:(\d{1,5})D)?(?:T(?=.)(?:(\d{1,6})H)?(?:(\d{1,7})M)?(?:(\d{1,9})S)?)?$/;

/** The length of a duration in ms; undefined if it is none. Days have 24 hours. */
export function durationMs(duration: number | string): number | undefined {
  if (typeof duration === 'number') return duration;
  const parts = durationPattern.exec(duration);
  if (parts === null) return undefined;
  const [weeks = 0, days = 0, hours = 0, minutes = 0, seconds = 0] = parts.slice(1).map((part) => Number(part ?? 0));
  return ((((weeks * 7 + days) * 24 + hours) * 60 + minutes) * 60 + seconds) * 1_000;
}

const words = 'must be a number of ms, or a duration such as PT15M, P2DT12H or P1W; months and years have no fixed length';

/** A time that passes: ms, or a duration of ISO 8601, at most 90 days. */
export const duration = z
  .union([z.int().min(1, 'must be at least 1 ms'), z.string()], words)
  .refine((given) => durationMs(given) !== undefined, {
    error: words,
    abort: true,
  })
  .refine((given) => durationMs(given)! > 0 && durationMs(given)! <= longestWaitMs, 'must be longer than 0 and at most 90 days');
