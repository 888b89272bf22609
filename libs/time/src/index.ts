export { longestTimerMs, sleep, startInterval, startTimer, timeoutSignal, waitAtMost } from './timers.js';
