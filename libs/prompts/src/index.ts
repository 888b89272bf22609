export { framedData, promptFor, repairPrompt } from './prompt.js';
export type { Turn } from './prompt.js';
export { promptCopy, visibleText } from './prompt-copy.js';
