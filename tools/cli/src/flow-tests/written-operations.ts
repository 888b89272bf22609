import { OperationSchemas, namedConnector } from '#libs/connectors';
import type { ConnectionDocument, DocumentLookup } from '#libs/contracts';
import type { FlowServices, StepOperation } from '#libs/flows';
import type { Json } from '#libs/json';
import { CliFailure } from '../failure.js';
import { operationFailures } from './flow-test.js';
import { AnswerUnusable } from './written-answers.js';
import type { WrittenAnswers } from './written-answers.js';
import { WrittenFailure } from './written-failure.js';

/**
 * The operations of connections, as a test wrote their answers down. Nothing is sent. Where the files have the connection, inputs and answers are checked
 * against the schemas of its connector, as in a run.
 */
export class WrittenOperations {
  /** The inputs of the steps that used one, by their paths. */
  readonly inputs = new Map<string, string>();
  /** Connections that the files do not have, so that nothing was checked. */
  readonly unchecked = new Set<string>();

  constructor(
    private readonly answers: WrittenAnswers,
    private readonly tenant: string,
    private readonly find: DocumentLookup,
  ) {}

  get services(): FlowServices['operations'] {
    const answered = (operation: StepOperation): Promise<Json> => this.answered(operation);
    return { of: () => ({ read: answered, call: answered }) };
  }

  private async answered(use: StepOperation): Promise<Json> {
    const { step, connection, operation, input } = use;
    this.inputs.set(step, JSON.stringify(input));
    const schemas = this.schemasOf(use);
    await schemas?.requireInput(input);
    const answer = this.answers.next(step);
    const refuse = (message: string): never => {
      throw new AnswerUnusable(step, message);
    };
    if (answer === undefined)
      return refuse(`The step ${step} uses ${operation} of the connection ${connection}: write its answer down (answers.${step})`);
    if ('fails' in answer) {
      const code = operationFailures.find((one) => one === answer.fails);
      if (code !== undefined) throw new WrittenFailure(code, step);
      return refuse(`An operation does not fail with ${answer.fails} (answers.${step}): it is one of ${operationFailures.join(', ')}`);
    }
    if ('review' in answer) return refuse(`The step ${step} asks no person: answers.${step} needs \`output\``);
    const output = 'text' in answer ? answer.text : answer.output;
    const problem = await schemas?.outputProblem(output);
    if (problem === undefined) return output;
    return refuse(`answers.${step} is nothing that ${operation} of the connection ${connection} answers: ${problem}`);
  }

  /** Undefined if the files do not have the connection, or its connector. @throws CliFailure if the connector has no such operation */
  private schemasOf({ step, connection, operation: name }: StepOperation): OperationSchemas | undefined {
    const connected = this.find('Connection', connection) as ConnectionDocument | undefined;
    const connector = connected && namedConnector(this.find, connected.spec.connector);
    if (connector === undefined) {
      this.unchecked.add(connection);
      return undefined;
    }
    const operation = Object.hasOwn(connector.operations, name) ? connector.operations[name] : undefined;
    if (operation !== undefined) return new OperationSchemas(name, operation, this.tenant);
    throw new CliFailure(
      `The step ${step} uses ${name}, which the connector ${connected!.spec.connector} does not have: it has ${Object.keys(connector.operations).join(', ')}`,
      'unusable',
    );
  }
}
