export { ClaimLoop } from './claim-loop.js';
export type { Claimed, ClaimLoopOptions } from './claim-loop.js';
export type { Lease } from './lease.js';
export { Periodically } from './periodically.js';
export { RenewingLease } from './renewing-lease.js';
export type { RenewingLeaseOptions } from './renewing-lease.js';
