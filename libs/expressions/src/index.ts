export { ExpressionFailed, ExpressionInvalid, compileExpression } from './expression.js';
export { functionNames, namesIn } from './expression-names.js';
export type { Json } from '#libs/contracts';
export type { Expression, ExpressionLimits } from './expression.js';
