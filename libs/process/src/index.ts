export { observe } from './observe.js';
export { processSettings } from './process.settings.js';
export { onStopSignal, runUntilStopped } from './stop-signal.js';
