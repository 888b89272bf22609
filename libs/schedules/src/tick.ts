import { hash } from 'node:crypto';

/** The tick of a schedule of a tenant. */
export interface Tick {
  readonly tenant: string;
  readonly schedule: string;
  /** Its instant, ms since 1970. */
  readonly atMs: number;
}

/**
 * The provider's id of a tick's event. It has no version of the document, so that a change of the document does not fire a tick again, and every process
 * makes the same event of a tick.
 */
export function tickEventId({ schedule, atMs }: Omit<Tick, 'tenant'>): string {
  return `schedule:${schedule}:${new Date(atMs).toISOString()}`;
}

/** The provider's id of the event that a command asked for. */
export function firedEventId({ schedule, commandId }: { readonly schedule: string; readonly commandId: string }): string {
  return `schedule:${schedule}:${commandId}`;
}

/** The delay of a tick, 0 to `jitterMs`: the same in every process, and another one for each schedule and instant. */
export function jitterOf({ tenant, schedule, atMs }: Tick, jitterMs: number): number {
  if (jitterMs === 0) return 0;
  const drawn = hash('sha256', `${tenant}/${schedule}/${atMs}`, 'buffer').readUInt32BE();
  return Math.floor((drawn / 2 ** 32) * (jitterMs + 1));
}
