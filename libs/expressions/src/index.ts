export { ExpressionFailed, ExpressionInvalid } from './expression.errors.js';
export type { ExpressionLimit } from './evaluation.js';
export { functionNames, namesIn } from './expression-names.js';
export { valueSources } from './value-sources.js';
export { writtenFields, writtenValue } from './written-values.js';
export { compileExpression } from './expression.js';
export type { Expression, ExpressionOptions } from './expression.js';
export { compileListExpression } from './list-expression.js';
export type { ListExpression } from './list-expression.js';
