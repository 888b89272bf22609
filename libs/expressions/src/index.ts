export { ExpressionFailed, ExpressionInvalid, compileExpression } from './expression.js';
export type { Expression, ExpressionLimits } from './expression.js';
