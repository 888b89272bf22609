import { setTimeout as pause } from 'node:timers/promises';
import { inspect } from 'node:util';

export interface Wait {
  /** Completes the message "Waited … ms for". */
  what: string;
  /** Default 10 000. */
  deadlineMs?: number;
  /** How often the condition is asked. Default 10; more where that would be a load. */
  everyMs?: number;
}

/**
 * Polls until the condition yields something other than false, null or undefined, and returns that. A condition that throws counts as not met yet.
 * @throws Error with `what` and the last value or error, at the deadline
 */
export async function waitFor<T>(
  condition: () => T | Promise<T>,
  { what, deadlineMs = 10_000, everyMs = 10 }: Wait,
): Promise<Exclude<T, false | null | undefined>> {
  const deadline = performance.now() + deadlineMs;
  for (;;) {
    let last: unknown;
    try {
      const value = await condition();
      if (value !== false && value !== null && value !== undefined) return value as Exclude<T, false | null | undefined>;
      last = value;
    } catch (error) {
      last = error;
    }
    if (performance.now() > deadline) throw new Error(`Waited ${deadlineMs} ms for ${what}; last: ${inspect(last)}`, { cause: last });
    await pause(everyMs);
  }
}
