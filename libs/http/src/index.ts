export { HttpClient } from './http.client.js';
export type { HttpAnswer, HttpClientOptions, HttpRequest } from './http.client.js';
export { DestinationAddressForbidden, DestinationTimedOut, DestinationUnreachable } from './http.errors.js';
