import type { ConnectorOperation, ConnectorSpec } from '#libs/contracts';
import { ExpressionFailed } from '#libs/expressions';
import type { Json } from '#libs/json';
import { Redaction } from '#libs/redaction';
import { compileSchema } from '#libs/schemas';
import type { CompiledSchema } from '#libs/schemas';
import { timeoutSignal, wallTime } from '#libs/time';
import type { OperationCall, OperationScope } from './connector.js';
import { oneLine } from './judgement.js';
import { InputRefused, OperationFailure, timedOut } from './operation.errors.js';
import type { Receipt } from './peer.js';
import { withDefaults } from './settings.js';

/** One use of an operation, within its deadline. */
export interface OperationRun {
  readonly call: OperationCall;
  readonly scope: OperationScope;
  /** By the monotonic clock. */
  readonly endsAtMs: number;
  /** Ends with the call's signal, and at the deadline. */
  readonly untilDeadline: AbortSignal;
}

export interface FrameOptions {
  readonly spec: ConnectorOperation;
  readonly connector: ConnectorSpec;
  /** The tenant whose share of the evaluations the schemas use. */
  readonly owner: string;
}

/** The parts that all operations have in common, however they are sent: the checks of input and output, the deadline, and the meaning of failures. */
export class OperationFrame {
  private readonly isWrite: boolean;
  private readonly inputSchema: ConnectorOperation['input'];
  private readonly input: CompiledSchema;
  private readonly output: CompiledSchema;
  private readonly settings: ConnectorSpec['settings'];
  private readonly readsAccount: boolean;

  constructor(
    private readonly name: string,
    { spec, connector, owner }: FrameOptions,
  ) {
    this.isWrite = spec.effect === 'write';
    this.inputSchema = spec.input;
    this.input = compileSchema(spec.input, { owner });
    this.output = compileSchema(spec.output, { owner });
    this.settings = connector.settings;
    this.readsAccount = connector.base !== undefined && JSON.stringify([connector, spec]).includes('account.');
  }

  /** Does the work within the deadline of the connection, and gives what it throws its meaning. @throws OperationFailure, and as the work does */
  async within<T>(call: OperationCall, work: (run: OperationRun) => Promise<T>): Promise<T> {
    const { connection, effectKey, firstAttemptAt = wallTime() } = call;
    const { timeoutMs, settings, authorizer } = connection;
    const deadline = timeoutSignal(timeoutMs);
    const untilDeadline = AbortSignal.any([call.signal, deadline]);
    const endsAtMs = performance.now() + timeoutMs;
    const scopeWith = (account: OperationScope['account']): OperationScope => ({
      input: call.input,
      settings: withDefaults(this.settings, settings),
      account,
      delivery: {
        id: effectKey,
        firstAttemptAt: firstAttemptAt.toISOString(),
        firstAttemptSeconds: Math.floor(firstAttemptAt.getTime() / 1_000),
      },
    });
    try {
      await this.requireInput(call.input);
      const scope = scopeWith(this.readsAccount ? await authorizer.account(untilDeadline) : {});
      return await work({ call, scope, endsAtMs, untilDeadline });
    } catch (error) {
      call.signal.throwIfAborted();
      if (deadline.aborted && error === deadline.reason) throw timedOut(`${connection.name} did not answer within ${timeoutMs} ms`, false);
      throw withoutSecrets(inputFailure(error) ?? error, call.secrets?.given ?? []);
    }
  }

  /**
   * @param why the reason that is told instead of the problems of the output, where the response has one
   * @throws OperationFailure
   */
  async requireOutput(output: Json, receipt: Receipt, why?: string): Promise<void> {
    const problems = await this.output.problemsOf(output);
    if (problems.length > 0) throw this.outputInvalid(why ?? words(problems, 'the output'), receipt);
  }

  /** The system did what it was asked to: only its answer is not what the connector expects. */
  outputInvalid(why: string, receipt: Receipt, cause?: unknown): OperationFailure {
    const message = `The operation ${this.name} was answered with ${receipt.summary}, of which it can make no output: ${why}`;
    return new OperationFailure('operation.outputInvalid', message, { peer: 'up', isUncertain: this.isWrite, receipt, cause });
  }

  private async requireInput(input: Json): Promise<void> {
    const unknown = unknownProperties(this.inputSchema, input);
    if (unknown !== undefined) throw new InputRefused(`The input does not fit the operation ${this.name}: ${unknown}`);
    const problems = await this.input.problemsOf(input);
    if (problems.length > 0) throw new InputRefused(`The input does not fit the operation ${this.name}: ${words(problems, 'the input')}`);
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

/** Problems of a value, one line each, name it as a whole or by a path within it. */
function words(problems: readonly string[], what: string): string {
  return problems.map((problem) => problem.replace(/^the answer\b/, what)).join('; ');
}

function inputFailure(error: unknown): OperationFailure | undefined {
  if (!(error instanceof InputRefused || error instanceof ExpressionFailed || error instanceof URIError)) return undefined;
  return new OperationFailure('operation.inputInvalid', error.message, { peer: 'unknown', cause: error });
}

/** The parts of an answer are redacted when they are read; an expression that fails may repeat a part of the input, too. */
function withoutSecrets(error: unknown, secrets: readonly string[]): unknown {
  if (!(error instanceof OperationFailure)) return error;
  const { code, message, peer, isUncertain, receipt, retryAfterMs } = error;
  const redacted = new Redaction(secrets).apply(message);
  return redacted === message ? error : new OperationFailure(code, redacted, { peer, isUncertain, receipt, retryAfterMs });
}
