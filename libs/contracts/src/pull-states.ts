import { failures } from './errors.js';
import type { FailureCode } from './errors.js';

export const pullStates = ['working', 'retrying', 'needsConsent', 'refused'] as const;
/**
 * - `working`: its last page was read, or it has not begun yet
 * - `retrying`: it failed for a reason that may pass, and tries again
 * - `needsConsent`: its connection sends nothing before a person acts
 * - `refused`: it failed for a reason that hardly passes by itself, and is tried again at most hourly
 */
export type PullState = (typeof pullStates)[number];

/** The state that follows from what is noted of a pull. */
export function pullState({ failures: inRow, lastFailureCode: code }: { failures: number; lastFailureCode: string | null }): PullState {
  if (inRow === 0 || code === null) return 'working';
  if (code === 'connection.needsReauth') return 'needsConsent';
  return Object.hasOwn(failures, code) && failures[code as FailureCode].outcome === 'retry' ? 'retrying' : 'refused';
}
