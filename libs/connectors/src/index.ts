export type { PeerCondition, Receipt } from './peer.js';
