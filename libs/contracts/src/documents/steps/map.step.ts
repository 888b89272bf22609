import { z } from 'zod';
import { expression } from '../references.js';

/** Computes its output. */
export const mapStep = z
  .strictObject({ expression: expression.describe('A JSONata expression over `event` and `steps`. Its value is the step’s output.') })
  .describe('Computes its output.');
