export { freePort, isFree, isLoopback, takesConnections } from './ports.js';
