import { JsonTooDeep, parseJson } from '#libs/json';
import type { Json } from '#libs/json';
import type { CompiledSchema } from '#libs/schemas';
import { ModelOutputInvalid } from './model.errors.js';

const lengthLimit = 262_144;

/**
 * Checks the text of a model and parses it: size, nesting, JSON, schema. The JSON may stand in one fence, or after the model's thinking.
 * @throws ModelOutputInvalid by rejection only
 */
export async function acceptOutput(text: string, schema: CompiledSchema): Promise<Json> {
  if (text.length > lengthLimit) throw new ModelOutputInvalid([`the answer is longer than ${lengthLimit} characters`]);
  const value = parse(text);
  const problems = await schema.problemsOf(value);
  if (problems.length > 0) throw new ModelOutputInvalid(problems);
  return value;
}

function parse(text: string): Json {
  for (const candidate of candidatesIn(text)) {
    try {
      return parseJson(candidate);
    } catch (error) {
      if (error instanceof JsonTooDeep) throw new ModelOutputInvalid([`the answer ${error.message}`]);
    }
  }
  throw new ModelOutputInvalid([text.trim() === '' ? 'the answer is empty' : 'the answer is not JSON']);
}

/** The whole text; else the part after the thinking; else what the only fence of that part holds. */
function* candidatesIn(text: string): Generator<string> {
  yield text;
  const answer = afterThinking(text);
  if (answer !== text) yield answer;
  const fenced = inFence(answer);
  if (fenced !== undefined) yield fenced;
}

const endsOfThinking = ['</think>', '</thinking>', '</reasoning>', '[/THINK]', '<|message|>'];

function afterThinking(text: string): string {
  const ends = endsOfThinking.map((mark) => ({ at: text.lastIndexOf(mark), mark })).filter(({ at }) => at >= 0);
  const last = ends.toSorted((a, b) => b.at - a.at)[0];
  return last === undefined ? text : text.slice(last.at + last.mark.length);
}

/** The text in a fence of Markdown. Undefined if there is none, or more than one: nobody knows which of them is the answer. */
function inFence(text: string): string | undefined {
  const [, inside, ...after] = text.split('```');
  if (inside === undefined || after.length !== 1) return undefined;
  return inside.replace(/^[a-zA-Z0-9]{0,20}(?=\s)/, '');
}
