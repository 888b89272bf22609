import type { Json } from '#libs/contracts';
import { ModelOutputInvalid } from './model.errors.js';
import type { OutputSchema } from './output-schema.js';

const lengthLimit = 262_144;
/** Deeper values would overflow the stack where they are stored or compared later. */
const depthLimit = 100;

/**
 * Checks the text of a model and parses it: size, nesting, JSON, schema.
 * @throws ModelOutputInvalid
 */
export function acceptOutput(text: string, schema: OutputSchema): Json {
  if (text.length > lengthLimit) throw new ModelOutputInvalid([`the answer is longer than ${lengthLimit} characters`]);
  if (nesting(text) > depthLimit) throw new ModelOutputInvalid([`the answer is nested deeper than ${depthLimit} levels`]);
  const value = parse(text);
  const problems = schema.problemsOf(value);
  if (problems.length > 0) throw new ModelOutputInvalid(problems);
  return value;
}

function parse(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch {
    throw new ModelOutputInvalid([text.trim() === '' ? 'the answer is empty' : 'the answer is not JSON']);
  }
}

/** Counts brackets inside strings, too: no normal output has a hundred of them open at once. */
function nesting(text: string): number {
  let depth = 0;
  let deepest = 0;
  for (const [bracket] of text.matchAll(/[[\]{}]/g)) {
    depth += bracket === '[' || bracket === '{' ? 1 : -1;
    if (depth > deepest) deepest = depth;
  }
  return deepest;
}
