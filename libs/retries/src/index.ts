export { delayBefore, standardRetry } from './retry-policy.js';
export type { RetryPolicy } from './retry-policy.js';
export { longestPauseMs, parseRetryAfter } from './retry-after.js';
export { longestDelay, scheduledDelay } from './retry-schedule.js';
export { afterCall, closedBreaker, isTroubled, phaseOf, standardBreaker, withAnswered } from './breaker.js';
export type { AnsweredCalls, Breaker, BreakerRules, CallOutcome } from './breaker.js';
export { afterCalls, callsAllowed, untilAllowedMs } from './rate-limit.js';
