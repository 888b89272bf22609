export { HttpClient } from './http.client.js';
export type { HttpResponse, HttpClientOptions, HttpRequest } from './http.client.js';
export { HostAddressForbidden, HostTimedOut, HostUnreachable } from './http.errors.js';
