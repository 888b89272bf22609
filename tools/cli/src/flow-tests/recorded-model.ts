import { ModelCredentialRefused, ModelLimited, ModelRefused, ModelUnavailable } from '#libs/models';
import type { ModelProvider, ModelRequest, ModelResponse } from '#libs/models';
import { framedData } from '#libs/prompts';
import { CliFailure } from '../failure.js';
import type { AnswerFailure } from './flow-test.js';
import type { WrittenAnswers } from './written-answers.js';

const failures = {
  'model.unavailable': ModelUnavailable,
  'model.limited': ModelLimited,
  'model.credential': ModelCredentialRefused,
  'model.refused': ModelRefused,
} as const;

function failureOf(code: AnswerFailure, step: string): Error {
  return Object.hasOwn(failures, code)
    ? new failures[code as keyof typeof failures](`The test lets the step ${step} fail`)
    : new CliFailure(`A model does not fail with ${code} (answers.${step}): it is one of ${Object.keys(failures).join(', ')}`, 'refused');
}

type RealProvider = (model: string, step: string) => Promise<ModelProvider>;

/** A model that says what a test wrote down. A step without an answer is passed on to a real provider, and what that says is kept. */
export class RecordedModel implements ModelProvider {
  readonly name = 'recorded';
  readonly api = 'chat';
  readonly server = new URL('recorded:answers');
  readonly attributes = {};
  /** The inputs of the steps that asked, by their ids. */
  readonly inputs: Map<string, string>;
  /** The texts that the real provider answered, by the ids of the steps. */
  readonly answered: Map<string, string>;

  /**
   * @param real finds the provider of a model for a step without an answer; it throws CliFailure if there is none
   * @param seen where the inputs and the texts are kept
   */
  constructor(
    private readonly answers: WrittenAnswers,
    private readonly real: RealProvider,
    seen: Pick<RecordedModel, 'inputs' | 'answered'> = { inputs: new Map(), answered: new Map() },
  ) {
    this.inputs = seen.inputs;
    this.answered = seen.answered;
  }

  /** A model of another provider that gives the same answers one after the other, and keeps what it sees in the same place. */
  inPlaceOf(real: RealProvider): RecordedModel {
    return new RecordedModel(this.answers, real, this);
  }

  async complete(request: ModelRequest, options: Parameters<ModelProvider['complete']>[1]): Promise<ModelResponse> {
    const step = request.schema.name;
    const [, user] = request.turns;
    this.inputs.set(step, framedData(user!.content) ?? user!.content);
    const answer = this.answers.next(step);
    if (answer === undefined) {
      const response = await (await this.real(request.model, step)).complete(request, options);
      this.answered.set(step, response.text);
      return response;
    }
    if ('fails' in answer) throw failureOf(answer.fails, step);
    if ('review' in answer)
      throw new CliFailure(`The step ${step} asks no person: answers.${step} needs \`output\` or \`text\``, 'unusable');
    const text = 'text' in answer ? answer.text : JSON.stringify(answer.output);
    return { text, finish: 'complete', responseModel: request.model };
  }

  // eslint-disable-next-line require-yield
  async *stream(): AsyncGenerator<never> {
    throw new CliFailure('A flow under test streams nothing', 'unusable');
  }

  async probe(): Promise<void> {}

  models(): Promise<readonly string[]> {
    return Promise.resolve([]);
  }

  async close(): Promise<void> {}
}
