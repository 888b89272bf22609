export { forbiddenRange } from './address.guard.js';
export { HttpClient, httpMethods } from './http.client.js';
export type { ClientCertificate, HttpAnswer, HttpClientOptions, HttpMethod, HttpPost, HttpRequest, HttpResponse } from './http.client.js';
export { HostAddressForbidden, HostTimedOut, HostUnreachable } from './http.errors.js';
export { serverEvents } from './server-events.js';
export type { ServerEvent } from './server-events.js';
export { outboundSettings } from './http.settings.js';
