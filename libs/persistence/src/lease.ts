/** The longest lease that a setting allows, ms. */
export const longestLeaseMs = 300_000;

/**
 * SQL that is true while no process holds the claim whose lease ends at `until` (null: there is none). A lease that ends later than
 * {@link longestLeaseMs} from now was taken before Postgres' clock stepped back: it is free, because its holder may have ended, and nobody would wait out
 * the step. A holder that is alive renews it or fails by its fence.
 */
export function isFreeLease(until: string): string {
  return `(${until} IS NULL OR ${until} < clock_timestamp() OR ${until} > clock_timestamp() + interval '${longestLeaseMs} milliseconds')`;
}
