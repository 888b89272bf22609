export { EventAppender, eventReceived } from './event-appender.js';
export type { NewEvent } from './event-appender.js';
export { eventOf, laneOf } from './event.js';
export type { EventOrigin, UnreadEvent } from './event.js';
export { EventFieldReader, usableCustomer, usableText } from './event-fields.js';
export type { EventFields } from './event-fields.js';
export { rfc3339Instant } from './instant.js';
