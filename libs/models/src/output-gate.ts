import { JsonTooDeep, parseJson } from '#libs/json';
import type { Json } from '#libs/json';
import type { CompiledSchema } from '#libs/schemas';
import { Grounding } from './gates/grounding.js';
import type { GroundedField } from './gates/grounding.js';
import { MarkupGate } from './gates/markup.js';
import type { MarkupPolicy } from './gates/markup.js';
import { ModelOutputInvalid } from './model.errors.js';

const lengthLimit = 262_144;

/** A rule across the fields of an output. */
export interface OutputRule {
  readonly name: string;
  /** Tells the model what is wrong if the rule does not hold. */
  readonly message: string;
  readonly holds: (output: Json) => boolean | Promise<boolean>;
}

/** The checks of an output that come after its schema. */
export interface OutputChecks {
  /** Default: none. */
  readonly rules?: readonly OutputRule[];
  /** Default: none. */
  readonly grounded?: readonly GroundedField[];
  /** Default: `fromInput`. */
  readonly markup?: MarkupPolicy;
}

/** The request whose outputs are checked. */
export interface CheckedRequest {
  readonly instructions: string;
  readonly input: unknown;
  readonly outputSchema: CompiledSchema;
  readonly checks?: OutputChecks | undefined;
}

/** The gates that every output for one request passes, in the order of `outputGates`. The first that refuses it ends the check. */
export class OutputGate {
  private readonly grounding: Grounding;
  private readonly markup: MarkupGate;

  constructor(private readonly request: CheckedRequest) {
    const { instructions, input, outputSchema, checks } = request;
    this.grounding = new Grounding(checks?.grounded ?? [], input);
    this.markup = new MarkupGate(checks?.markup ?? 'fromInput', [input, instructions, outputSchema.schema]);
  }

  /**
   * Parses the text of a model and checks it. The JSON may stand in one fence, or after the model's thinking.
   * @throws ModelOutputInvalid by rejection only; whatever a rule throws
   */
  async accept(text: string): Promise<Json> {
    const { outputSchema, checks } = this.request;
    if (text.length > lengthLimit) throw new ModelOutputInvalid('size', [`the answer is longer than ${lengthLimit} characters`]);
    const value = parse(text);
    refuseIfAny('schema', await outputSchema.problemsOf(value), value);
    refuseIfAny('rules', await brokenRules(checks?.rules ?? [], value), value);
    refuseIfAny('grounding', this.grounding.problemsOf(value), value);
    refuseIfAny('markup', this.markup.problemsOf(value), value);
    return value;
  }
}

function refuseIfAny(gate: ModelOutputInvalid['gate'], problems: readonly string[], output: Json): void {
  if (problems.length > 0) throw new ModelOutputInvalid(gate, problems, output);
}

async function brokenRules(rules: readonly OutputRule[], output: Json): Promise<string[]> {
  const broken: string[] = [];
  for (const { name, message, holds } of rules) if (!(await holds(output))) broken.push(`the rule ${name} is broken: ${message}`);
  return broken;
}

function parse(text: string): Json {
  for (const candidate of candidatesIn(text)) {
    try {
      return parseJson(candidate);
    } catch (error) {
      if (error instanceof JsonTooDeep) throw new ModelOutputInvalid('json', [`the answer ${error.message}`]);
    }
  }
  throw new ModelOutputInvalid('json', [text.trim() === '' ? 'the answer is empty' : 'the answer is not JSON']);
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
