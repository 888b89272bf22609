import { NotFound } from '#libs/contracts';
import type { ConnectorSpec, ConnectorOperation } from '#libs/contracts';
import type { HttpClient } from '#libs/http';
import { LruMap } from '#libs/lru';
import { latencyMs, wallTimeMs } from '#libs/time';
import { builtInConnectors } from './built-in.js';
import { CompiledOperation } from './compiled-operation.js';
import type { OperationPage } from './compiled-operation.js';
import type {
  CodedOperations,
  ConnectionHealth,
  HttpConnectorSpec,
  OpenConnection,
  OperationCall,
  OperationResult,
  RepeatedCall,
  Verification,
} from './connector.js';
import { DrivenOperation } from './driven-operation.js';
import type { Driver, DriverClass } from './driver.js';
import { driverClasses } from './drivers.generated.js';
import { codedOperations } from './operations.generated.js';
import { OperationFailure } from './operation.errors.js';
import type { PagePosition } from './pages.js';
import { envelopeCodeOf, wsdlCheckOf } from './soap/wsdl.js';

/** Finds the connector of this name: a built-in one, or a document of the tenant. */
export type ConnectorLookup = (tenant: string, name: string) => ConnectorSpec | undefined;

export interface ConnectorsParts {
  readonly http: HttpClient;
  /** Default: only built-in connectors exist. */
  readonly connectorOf?: ConnectorLookup;
}

/** The parts of a connector that were compiled for a tenant. */
interface Compiled {
  readonly spec: ConnectorSpec;
  readonly operations: Map<string, CompiledOperation | DrivenOperation>;
}

/** Compiled connectors that are kept. One takes up to some 100 kB. */
const mostCompiled = 500;
const coded: Readonly<Record<string, CodedOperations>> = codedOperations;
const drivers: Readonly<Record<string, () => Promise<DriverClass>>> = driverClasses;
const healthOperation = 'health check';

/** The built-in connector of this name. */
export const builtInConnectorOf: ConnectorLookup = (_, name) => builtInConnectors().get(name);

/** Runs operations of connectors. */
export class Connectors {
  private readonly http: HttpClient;
  private readonly connectorOf: ConnectorLookup;
  /** By the name of the connector. A driver is kept once it was used. */
  private readonly drivers = new Map<string, Promise<Driver>>();
  /** By tenant and name. */
  private readonly compiled = new LruMap<string, Compiled>(mostCompiled);

  constructor({ http, connectorOf = builtInConnectorOf }: ConnectorsParts) {
    this.http = http;
    this.connectorOf = connectorOf;
  }

  /** The operation of this name. @throws NotFound */
  operation({ tenant, connector }: Pick<OpenConnection, 'tenant' | 'connector'>, name: string): ConnectorOperation {
    const { operations } = this.specOf(tenant, connector);
    if (!Object.hasOwn(operations, name))
      throw new NotFound('operation', name, { message: `The connector ${connector} has no operation ${name}` });
    return operations[name]!;
  }

  /**
   * Runs an operation once, within the deadline of its connection. A list is read to its end, or to the limits of its paging.
   * @throws OperationFailure, NotFound, EvaluationsBusy, what the authorizer throws; the signal's reason if that ended it
   */
  async run(call: OperationCall): Promise<OperationResult> {
    return this.compiledOf(call).run(call);
  }

  /** Reads one page of a list, the first one by default. @throws as {@link run} */
  async page(call: OperationCall, position?: PagePosition): Promise<OperationPage> {
    const operation = this.compiledOf(call);
    if (operation instanceof DrivenOperation) throw new Error(`The operation ${call.operation} reads no list`);
    return operation.page(call, position);
  }

  /**
   * Looks for the effect of an operation of the class `verify`, once the system shows what the first attempt did.
   * @throws OperationFailure of a failure that may pass; otherwise as {@link run}
   */
  async verify(call: RepeatedCall): Promise<Verification> {
    const { idempotency } = this.operation(call.connection, call.operation);
    if (idempotency?.class !== 'verify') throw new Error(`The operation ${call.operation} cannot be verified`);
    const { operation, settleMs, otherwise } = idempotency;
    const firstAttemptMs = call.firstAttemptAt.getTime();
    if (latencyMs(firstAttemptMs, wallTimeMs()) < settleMs) return { is: 'unsettled', settlesAtMs: firstAttemptMs + settleMs };
    try {
      const result = await this.run({ ...call, operation });
      return result.output === null ? { is: 'absent' } : { is: 'found', operation, result };
    } catch (error) {
      if (!(error instanceof OperationFailure) || error.outcome === 'retry') throw error;
      return otherwise === 'park' ? { is: 'unknown', operation } : { is: 'absent' };
    }
  }

  /** Tests whether the system takes the credential; undefined if its connector has no test. @throws as {@link run} */
  async check({ connection, signal }: Pick<OperationCall, 'connection' | 'signal'>): Promise<ConnectionHealth | undefined> {
    const { tenant, connector } = connection;
    const spec = this.specOf(tenant, connector);
    const described = wsdlCheckOf(spec);
    if (described === undefined && spec.health === undefined && spec.base !== undefined) return undefined;
    const call = { connection, operation: healthOperation, input: {}, effectKey: '', signal };
    const operation = this.compiledOf(call);
    if (operation instanceof DrivenOperation) return operation.check(call);
    const { output, receipt } = await operation.run(call);
    return { account: described === undefined && typeof output === 'string' && output !== '' ? output : undefined, receipt };
  }

  /** Ends the connections that drivers have to systems. */
  async close(): Promise<void> {
    await Promise.all([...this.drivers.values()].map(async (driver) => (await driver).close()));
  }

  private specOf(tenant: string, name: string): ConnectorSpec {
    const spec = this.connectorOf(tenant, name);
    if (spec === undefined) throw new NotFound('connector', name, { message: `There is no connector ${name}` });
    return spec;
  }

  private compiledOf({
    connection,
    operation: name,
  }: Pick<OperationCall, 'connection' | 'operation'>): CompiledOperation | DrivenOperation {
    const { tenant, connector } = connection;
    const spec = this.specOf(tenant, connector);
    const key = `${tenant}/${connector}`;
    let compiled = this.compiled.get(key);
    if (compiled?.spec !== spec) this.compiled.set(key, (compiled = { spec, operations: new Map() }));
    const known = compiled.operations.get(name);
    if (known !== undefined) return known;
    const made =
      name === healthOperation
        ? this.madeCheck(spec, connector, tenant)
        : this.made(name, this.operation(connection, name), { spec, connector, owner: tenant });
    compiled.operations.set(name, made);
    return made;
  }

  private madeCheck(spec: ConnectorSpec, connector: string, owner: string): CompiledOperation | DrivenOperation {
    const described = wsdlCheckOf(spec);
    if (described === undefined) return this.made(healthOperation, healthCheck(spec), { spec, connector, owner });
    const { operation, errors } = described;
    return this.made(operation, spec.operations[operation]!, { spec: { ...spec, errors: [...errors] }, connector, owner });
  }

  private made(
    name: string,
    operation: ConnectorOperation,
    { spec, connector, owner }: { spec: ConnectorSpec; connector: string; owner: string },
  ): CompiledOperation | DrivenOperation {
    if (!isOfHttp(spec)) return new DrivenOperation(name, operation, spec, { owner, driver: () => this.driverOf(connector) });
    const described = envelopeCodeOf(operation);
    const make = described?.make ?? coded[connector]?.[name];
    return new CompiledOperation(name, operation, spec, { http: this.http, owner, make, read: described?.read, flawOf: described?.flawOf });
  }

  private driverOf(connector: string): Promise<Driver> {
    let known = this.drivers.get(connector);
    if (known === undefined) {
      const { http } = this;
      known = drivers[connector]!().then((LoadedDriver) => new LoadedDriver({ http }));
      this.drivers.set(connector, known);
    }
    return known;
  }
}

function isOfHttp(spec: ConnectorSpec): spec is HttpConnectorSpec {
  return spec.base !== undefined;
}

function healthCheck({ health }: ConnectorSpec): ConnectorOperation {
  const { request, account } = health ?? {};
  return {
    summary: 'Tests the connection',
    effect: 'read',
    input: {},
    output: {},
    errors: [],
    maxBodyBytes: 1_048_576,
    request,
    result: account ?? '""',
  };
}
