import type { ConnectorOperation, ConnectorSpec } from '#libs/contracts';
import { ExpressionFailed } from '#libs/expressions';
import type { Json } from '#libs/json';
import { Redaction } from '#libs/redaction';
import { timeoutSignal, wallTime } from '#libs/time';
import type { OperationCall, OperationScope } from './connector.js';
import { InputRefused, OperationFailure, timedOut } from './operation.errors.js';
import { OperationSchemas } from './operation-schemas.js';
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
  private readonly schemas: OperationSchemas;
  private readonly settings: ConnectorSpec['settings'];
  private readonly readsAccount: boolean;

  constructor(
    private readonly name: string,
    { spec, connector, owner }: FrameOptions,
  ) {
    this.isWrite = spec.effect === 'write';
    this.schemas = new OperationSchemas(name, spec, owner);
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
      await this.schemas.requireInput(call.input);
      const scope = scopeWith(this.readsAccount ? await authorizer.account(untilDeadline) : {});
      const done = await work({ call, scope, endsAtMs, untilDeadline });
      authorizer.accepted();
      return done;
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
    const problem = await this.schemas.outputProblem(output);
    if (problem !== undefined) throw this.outputInvalid(why ?? problem, receipt);
  }

  /** The system did what it was asked to: only its answer is not what the connector expects. */
  outputInvalid(why: string, receipt: Receipt, cause?: unknown): OperationFailure {
    const message = `The operation ${this.name} was answered with ${receipt.summary}, of which it can make no output: ${why}`;
    return new OperationFailure('operation.outputInvalid', message, { peer: 'up', isUncertain: this.isWrite, receipt, cause });
  }
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
