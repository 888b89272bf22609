export { Timing, nextFires, timingProblem } from './timing.js';
export type { TimingProblem, TimingSpec } from './timing.js';
export { firedEventId, jitterOf, tickEventId } from './tick.js';
export type { Tick } from './tick.js';
