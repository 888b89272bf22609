export type { DelivererTools, OutboundDelivery } from './deliverer.js';
export {
  DeliveryAddressForbidden,
  DeliveryFailure,
  DeliveryGone,
  DeliveryOperationFailed,
  DeliveryRefused,
  DeliveryTimedOut,
  DeliveryUnauthorized,
  DeliveryUnavailable,
  DeliveryUnreachable,
  DeliveryUnsettled,
  DeliveryUnverified,
} from './delivery.errors.js';
export { Deliverers } from './deliverers.js';
