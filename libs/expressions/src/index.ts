export type { Json } from '#libs/json';
export { ExpressionFailed, ExpressionInvalid } from './expression.errors.js';
export type { ExpressionLimit } from './expression.errors.js';
export { functionNames, namesIn } from './expression-names.js';
export { compileExpression } from './expression.js';
export type { Expression, ExpressionOptions } from './expression.js';
