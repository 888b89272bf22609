export { PositionTable } from './position.table.js';
