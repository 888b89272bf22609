export { Linger } from './linger.js';
export { longestTimerMs, sleep, startInterval, startTimer, timeoutSignal, waitAtMost } from './timers.js';
export { Stopwatch, latencyMs, wallTime, wallTimeMs } from './wall-clock.js';
