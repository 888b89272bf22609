export { AddressList, isAddressRange } from './address-list.js';
export { freePort, isFree, isLoopback, takesConnections } from './ports.js';
