import type { FlowServices, StepOperation } from '#libs/flows';
import type { Json } from '#libs/json';
import { CliFailure } from '../failure.js';
import type { WrittenAnswers } from './written-answers.js';
import { WrittenFailure } from './written-failure.js';

/** The operations of connections, as a test wrote their answers down. Nothing is sent. */
export class WrittenOperations {
  /** The inputs of the steps that used one, by their paths. */
  readonly inputs = new Map<string, string>();

  constructor(private readonly answers: WrittenAnswers) {}

  get services(): FlowServices['operations'] {
    const answered = (operation: StepOperation): Promise<Json> => this.answered(operation);
    return { of: () => ({ read: answered, call: answered }) };
  }

  private async answered({ step, connection, operation, input }: StepOperation): Promise<Json> {
    this.inputs.set(step, JSON.stringify(input));
    const answer = this.answers.next(step);
    if (answer === undefined) {
      throw new CliFailure(
        `The step ${step} uses ${operation} of the connection ${connection}: write its answer down (answers.${step})`,
        'unusable',
      );
    }
    if ('fails' in answer) throw new WrittenFailure(answer.fails, step);
    if ('review' in answer) throw new CliFailure(`The step ${step} asks no person: answers.${step} needs \`output\``, 'unusable');
    return 'text' in answer ? answer.text : answer.output;
  }
}
