export { defaultDeliveries, isAwaited, isJobNotice, jobNotices, settling, settlingValues } from './default-decision.js';
export type { AwaitedEvent } from './default-decision.js';
