import type { StandInHandler, StandInRequest, StandInResponse } from '#libs/connectors';
import type { Json } from '#libs/json';

/** A stand-in of a foreign system, so that flows can act somewhere without an account. It is no part of a production. */
export interface SampleSystem {
  readonly handle: StandInHandler;
  /** The effects of a request that was taken, each as a line for a person. */
  effectsOf(request: StandInRequest, response: StandInResponse): string[];
  /** Puts objects in, and replaces those with the same key. @throws an error of zod if the content has another form */
  put(content: unknown): void;
  /** Its objects, for a person. */
  content(): Json;
}

/** The most objects of one kind that a sample system keeps: the oldest ones go first. */
export const keptObjects = 1_000;

/** Removes the oldest entries above {@link keptObjects}. */
export function trim(entries: Map<unknown, unknown> | Set<unknown>): void {
  for (const key of entries.keys()) {
    if (entries.size <= keptObjects) return;
    entries.delete(key);
  }
}

/** The start of a text, on one line. */
export function clipped(text: string, length = 160): string {
  const line = text.replaceAll(/\s+/g, ' ').trim();
  return line.length <= length ? line : `${line.slice(0, length - 1)}…`;
}
