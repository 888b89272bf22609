export { HoldTable } from './hold.table.js';
