export { framedData, promptFor, repairPrompt } from './prompt.js';
export type { Turn } from './prompt.js';
