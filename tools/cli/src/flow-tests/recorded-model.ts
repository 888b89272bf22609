import { AsyncLocalStorage } from 'node:async_hooks';
import {
  ModelAnswerTooLarge,
  ModelBudgetSpent,
  ModelCredentialRefused,
  ModelLimited,
  ModelMisconfigured,
  ModelNotFree,
  ModelOutage,
  ModelRefused,
  ModelUnavailable,
} from '#libs/models';
import type { ModelGateway, ModelProvider, ModelRequest, ModelResponse } from '#libs/models';
import { framedData } from '#libs/prompts';
import { wallTime } from '#libs/time';
import { CliFailure } from '../failure.js';
import { modelFailures } from './flow-test.js';
import type { ModelFailureCode } from './flow-test.js';
import { AnswerUnusable } from './written-answers.js';
import type { WrittenAnswers } from './written-answers.js';

const failures: Record<ModelFailureCode, (message: string) => Error> = {
  'model.unavailable': (message) => new ModelUnavailable(message),
  'model.outage': (message) => new ModelOutage(message),
  'model.limited': (message) => new ModelLimited(message),
  'model.credential': (message) => new ModelCredentialRefused(message),
  'model.misconfigured': (message) => new ModelMisconfigured(message),
  'model.budgetSpent': (message) => new ModelBudgetSpent(message, { budget: 'test', endsAt: wallTime() }),
  'model.notFree': (message) => new ModelNotFree(message, { budget: 'test' }),
  'model.refused': (message) => new ModelRefused(message),
  'model.answerTooLarge': (message) => new ModelAnswerTooLarge(message),
};

function failureOf(given: string, step: string): Error {
  const code = modelFailures.find((one) => one === given);
  if (code !== undefined) return failures[code](`The test lets the step ${step} fail`);
  return new AnswerUnusable(step, `A model does not fail with ${given} (answers.${step}): it is one of ${modelFailures.join(', ')}`);
}

/** The step that asks. Providers are only told the request to the model. */
const asking = new AsyncLocalStorage<string>();

/** Lets a {@link RecordedModel} behind the gateway know which step asks. */
export function naming(gateway: ModelGateway): Pick<ModelGateway, 'infer'> {
  return { infer: (request) => asking.run(request.step ?? request.schemaName, () => gateway.infer(request)) };
}

type RealProvider = (model: string, step: string) => Promise<ModelProvider>;

/** A model that says what a test wrote down. A step without an answer is passed on to a real provider, and what that says is kept. */
export class RecordedModel implements ModelProvider {
  readonly name = 'recorded';
  readonly api = 'chat';
  readonly server = new URL('recorded:answers');
  readonly attributes = {};
  /** The inputs of the steps that asked, by their paths. */
  readonly inputs: Map<string, string>;
  /** The texts that the real provider answered, by the paths of the steps. */
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
    const step = asking.getStore() ?? request.schema.name;
    const [, user] = request.turns;
    this.inputs.set(step, framedData(user!.content) ?? user!.content);
    const answer = this.answers.next(step);
    if (answer === undefined) {
      const response = await (await this.real(request.model, step)).complete(request, options);
      this.answered.set(step, response.text);
      return response;
    }
    if ('fails' in answer) throw failureOf(answer.fails, step);
    if ('review' in answer) throw new AnswerUnusable(step, `The step ${step} asks no person: answers.${step} needs \`output\` or \`text\``);
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
