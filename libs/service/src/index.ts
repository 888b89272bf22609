export type { RouteBodies } from './body-parser.js';
export {
  browserSettings,
  doorSettings,
  httpOptions,
  httpSettings,
  logSettings,
  secretSettings,
  serviceSettings,
  storageSettings,
  workerHttpOptions,
} from './service.settings.js';
export { AllowedOrigins, OriginForbidden } from './allowed-origins.js';
export { Doors } from './doors.js';
export type { Door, DoorResponse, DoorRequest, DoorStream, Guard, OnClose, Receive, RequestHead, SocketDoor } from './doors.js';
export { logClient } from './infrastructure.module.js';
export { serve } from './serve.js';
export { start } from './start.js';
export type { RunningService } from './start.js';
export { StartWait } from './start-wait.js';
export { failureHeaders, problemOf } from './problem.js';
export { Readiness } from './readiness.js';
export type { ReadinessStatus } from './readiness.js';
export {
  AddressNotFound,
  MediaTypeUnsupported,
  MethodNotAllowed,
  RequestInvalid,
  RequestLimited,
  RequestMalformed,
  RequestTooLarge,
  policyHeader,
} from './request.errors.js';
export type { LimitPolicy } from './request.errors.js';
export { logOptions, storageOptions } from './boot-options.js';
