export { freePort, isFree, takesConnections } from './ports.js';
