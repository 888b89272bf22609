export { delayBefore, standardRetry } from './retry-policy.js';
export type { RetryPolicy } from './retry-policy.js';
export { parseRetryAfter } from './retry-after.js';
export { sleep } from './sleep.js';
