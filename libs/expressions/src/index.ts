export { ExpressionFailed, ExpressionInvalid, compileExpression } from './expression.js';
export type { Json } from '#libs/contracts';
export type { Expression, ExpressionLimits } from './expression.js';
