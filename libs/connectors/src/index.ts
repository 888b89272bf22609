export type { Connector, ConnectorOptions, OutboundDelivery, Receipt } from './connector.js';
export {
  ConnectorFailure,
  DeliveryAddressForbidden,
  DeliveryGone,
  DeliveryRefused,
  DeliveryTimedOut,
  DeliveryUnauthorized,
  DeliveryUnavailable,
  DeliveryUnreachable,
} from './connector.errors.js';
export type { PeerCondition } from './connector.errors.js';
export { Connectors } from './connectors.js';
