export { Fifo } from './fifo.js';
export { FairQueue } from './fair-queue.js';
