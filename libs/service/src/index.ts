export { httpSettings, observabilitySettings, serviceSettings } from './service.settings.js';
export { observe, onStopSignal, serve } from './serve.js';
export { start } from './start.js';
export type { Composition, RunningService } from './start.js';
export type { LogPart, StoragePart } from './infrastructure.module.js';
export { Readiness } from './readiness.js';
export type { ReadinessCheck } from './readiness.js';
export { AddressNotFound, MediaTypeUnsupported, RequestInvalid, RequestMalformed, RequestTooLarge } from './request.errors.js';
export { logPart, storagePart } from './parts.js';
