export { EventAppender, eventReceived } from './event-appender.js';
export type { NewEvent } from './event-appender.js';
