import { handle, part } from '../operations/part.js';
import { evaluateExpression } from './evaluation.operations.js';
import { EvaluationService } from './evaluation.service.js';

export const evaluationPart = part({
  providers: [EvaluationService],
  operations: [handle(evaluateExpression, ({ principal, get }, input) => get(EvaluationService).evaluate(principal, input))],
});
