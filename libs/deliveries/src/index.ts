export { deliveriesPlannedChannel, newDeliveries, newDeliveryColumns } from './new-delivery.js';
export type { DecidingRun, NewDelivery } from './new-delivery.js';
export { effectsByDestination, refusedRedeliveries } from './refused-redeliveries.js';
export type { EffectsByDestination } from './refused-redeliveries.js';
export { promiseOf, secondEffect } from './second-effect.js';
export type { Repeatable } from './second-effect.js';
export { idempotencyOf } from './idempotency-of.js';
