import { JsonTooDeep, parseJson } from '#libs/contracts';
import type { Json } from '#libs/contracts';
import { ModelOutputInvalid } from './model.errors.js';
import type { OutputSchema } from './output-schema.js';

const lengthLimit = 262_144;

/**
 * Checks the text of a model and parses it: size, nesting, JSON, schema.
 * @throws ModelOutputInvalid
 */
export function acceptOutput(text: string, schema: OutputSchema): Json {
  if (text.length > lengthLimit) throw new ModelOutputInvalid([`the answer is longer than ${lengthLimit} characters`]);
  const value = parse(text);
  const problems = schema.problemsOf(value);
  if (problems.length > 0) throw new ModelOutputInvalid(problems);
  return value;
}

function parse(text: string): Json {
  try {
    return parseJson(text);
  } catch (error) {
    if (error instanceof JsonTooDeep) throw new ModelOutputInvalid([`the answer ${error.message}`]);
    throw new ModelOutputInvalid([text.trim() === '' ? 'the answer is empty' : 'the answer is not JSON']);
  }
}
