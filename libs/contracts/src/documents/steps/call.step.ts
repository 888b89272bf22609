import { z } from 'zod';
import { expression, refTo } from '../references.js';

/** Runs another flow as a part of this one. */
export const callStep = z
  .strictObject({
    flow: refTo('Flow').describe('The name of the flow, a document of the same tenant. Its `on` and `onFailure` do not count here.'),
    input: expression.optional().describe('The value that the called flow reads as `event.data`; default: `event.data`.'),
  })
  .describe('Runs another flow as a part of this one: by its steps, on the input, up to its decision, which is the output.');
