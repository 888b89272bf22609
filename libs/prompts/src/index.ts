export { InputTooLong, answerText, framedData, promptFor, repairPrompt } from './prompt.js';
export type { PromptOptions, Turn } from './prompt.js';
export { promptCopy, visibleText } from './prompt-copy.js';
