export { deliveriesPlannedChannel, newDeliveries, newDeliveryColumns } from './new-delivery.js';
export type { DecidingRun, NewDelivery } from './new-delivery.js';
