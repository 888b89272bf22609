import type { Login } from '#libs/connections';
import type { ConnectorOperation, ConnectorSpec } from '#libs/contracts';
import type { ConnectionHealth, OperationCall, OperationResult } from './connector.js';
import type { Driver, DriverUse } from './driver.js';
import { OperationFailure } from './operation.errors.js';
import { OperationFrame } from './operation-frame.js';
import type { OperationRun } from './operation-frame.js';

export interface DrivenOptions {
  /** The tenant whose share of the evaluations the schemas use. */
  readonly owner: string;
  /** The driver of the connector, which is loaded when it is first used. */
  readonly driver: () => Promise<Driver>;
}

/** An operation that a driver runs. */
export class DrivenOperation {
  private readonly frame: OperationFrame;
  private readonly isWrite: boolean;

  constructor(
    private readonly name: string,
    spec: ConnectorOperation,
    connector: ConnectorSpec,
    private readonly options: DrivenOptions,
  ) {
    this.isWrite = spec.effect === 'write';
    this.frame = new OperationFrame(name, { spec, connector, owner: options.owner });
  }

  /** @throws OperationFailure, what the authorizer throws, EvaluationsBusy, the signal's reason */
  async run(call: OperationCall): Promise<OperationResult> {
    return this.frame.within(call, async (run) => {
      const { effectKey, input } = call;
      const firstAttemptAt = new Date(run.scope.delivery.firstAttemptAt);
      const operation = { operation: this.name, input, effectKey, firstAttemptAt };
      const result = await this.use(run, (driver, use) => driver.run({ ...use, ...operation }));
      await this.frame.requireOutput(result.output, result.receipt);
      return result;
    });
  }

  /** Tests whether the system takes the credential. @throws as {@link run} */
  async check(call: OperationCall): Promise<ConnectionHealth> {
    return this.frame.within(call, (run) => this.use(run, (driver, use) => driver.check(use)));
  }

  /** Uses the driver, a second time if a newer credential may help. */
  private async use<T>(
    { call, scope, endsAtMs, untilDeadline }: OperationRun,
    work: (driver: Driver, use: DriverUse) => Promise<T>,
  ): Promise<T> {
    const { connection } = call;
    const driver = await this.options.driver();
    const attempt = (own: Login): Promise<T> => {
      untilDeadline.throwIfAborted();
      const login = { ...own, secrets: [...own.secrets, ...(call.secrets?.given ?? [])] };
      const requireClaim = this.isWrite ? call.requireClaim : undefined;
      return work(driver, { connection, settings: scope.settings, login, endsAtMs, requireClaim, signal: untilDeadline });
    };
    const login = await connection.authorizer.login(untilDeadline);
    try {
      return await attempt(login);
    } catch (error) {
      if (!(error instanceof OperationFailure) || error.code !== 'operation.unauthorized') throw error;
      if (!(await connection.authorizer.refused(login, untilDeadline))) throw error;
    }
    return attempt(await connection.authorizer.login(untilDeadline));
  }
}
