export { httpSettings, processSettings, serviceSettings } from './service.settings.js';
export { Doors } from './doors.js';
export type { Door, DoorResponse, DoorRequest } from './doors.js';
export { observe, onStopSignal, runUntilStopped, serve } from './serve.js';
export { start } from './start.js';
export type { Composition, RunningService } from './start.js';
export { StartWait } from './start-wait.js';
export { failureHeaders } from './problem.js';
export { Readiness } from './readiness.js';
export type { ReadinessCheck } from './readiness.js';
export {
  AddressNotFound,
  MediaTypeUnsupported,
  MethodNotAllowed,
  RequestInvalid,
  RequestMalformed,
  RequestTooLarge,
} from './request.errors.js';
export { logOptions, storageOptions } from './boot-options.js';
