import type { ConnectorOperation } from '#libs/contracts';
import type { Json } from '#libs/json';
import { compileSchema } from '#libs/schemas';
import type { CompiledSchema } from '#libs/schemas';
import { oneLine } from './judgement.js';
import { OperationFailure } from './operation.errors.js';

/** The values that an operation takes and gives. */
export class OperationSchemas {
  private readonly input: CompiledSchema;
  private readonly output: CompiledSchema;

  /** @param owner the tenant whose share of the evaluations the schemas use */
  constructor(
    private readonly name: string,
    private readonly spec: Pick<ConnectorOperation, 'input' | 'output'>,
    owner: string,
  ) {
    this.input = compileSchema(spec.input, { owner });
    this.output = compileSchema(spec.output, { owner });
  }

  /** @throws OperationFailure, EvaluationsBusy */
  async requireInput(input: Json): Promise<void> {
    const problem = unknownProperties(this.spec.input, input) ?? words(await this.input.problemsOf(input), 'the input');
    if (problem === undefined) return;
    throw new OperationFailure('operation.inputInvalid', `The input does not fit the operation ${this.name}: ${problem}`, {
      peer: 'unknown',
    });
  }

  /** The words for an output that the operation does not give; undefined if it may be one. @throws EvaluationsBusy */
  async outputProblem(output: Json): Promise<string | undefined> {
    return words(await this.output.problemsOf(output), 'the output');
  }
}

const longestName = 100;
const mostNames = 20;

/** The properties of the input that the operation does not take, with those that it takes: the check of the schema does not name them. */
function unknownProperties(schema: ConnectorOperation['input'], input: Json): string | undefined {
  if (schema['additionalProperties'] !== false || schema['patternProperties'] !== undefined) return undefined;
  if (typeof input !== 'object' || input === null || Array.isArray(input)) return undefined;
  const known = Object.keys((schema['properties'] ?? {}) as object);
  const unknown = Object.keys(input).filter((name) => !known.includes(name));
  if (unknown.length === 0) return undefined;
  const list = (names: readonly string[]): string =>
    names
      .slice(0, mostNames)
      .map((name) => oneLine(name).slice(0, longestName))
      .join(', ');
  return `it takes no ${list(unknown)}; it takes ${list(known) || 'nothing'}`;
}

/** Problems of a value, one line each, name it as a whole or by a path within it. Undefined if there are none. */
function words(problems: readonly string[], what: string): string | undefined {
  if (problems.length === 0) return undefined;
  return problems.map((problem) => problem.replace(/^the value\b/, what)).join('; ');
}
