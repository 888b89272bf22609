/** Settings with short sessions and leases, so that the partitions and claims of a dead process are free within seconds. */
export function quickRecovery(leaseMs: number): Record<string, string> {
  return { LOG_SESSION_TIMEOUT_MS: '6000', RUN_LEASE_MS: String(leaseMs), DELIVERY_LEASE_MS: String(leaseMs) };
}
