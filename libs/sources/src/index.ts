export { readBody } from './body.js';
export type { ParsedBody } from './body.js';
export { BodyMalformed } from './body.errors.js';
export { eventsOf, readRequest } from './received-events.js';
export type { ReceivedEvent } from './received-events.js';
export { resolveSource } from './source.js';
export type { Source, WebhookSource } from './source.js';
export { handshakeResponse, requireOwner, verifyWebhook } from './webhook.js';
