export type { OutboundDelivery } from './deliverer.js';
export {
  DeliveryAddressForbidden,
  DeliveryFailure,
  DeliveryGone,
  DeliveryRefused,
  DeliveryTimedOut,
  DeliveryUnauthorized,
  DeliveryUnavailable,
  DeliveryUnreachable,
} from './delivery.errors.js';
export { Deliverers } from './deliverers.js';
