import { NotFound } from '#libs/contracts';
import type { ConnectorSpec, ConnectorOperation } from '#libs/contracts';
import type { HttpClient } from '#libs/http';
import { LruMap } from '#libs/lru';
import { builtInConnectors } from './built-in.js';
import { CompiledOperation } from './compiled-operation.js';
import type { OperationPage } from './compiled-operation.js';
import type { CodedOperations, OpenConnection, OperationCall, OperationResult, Verification } from './connector.js';
import { codedOperations } from './operations.generated.js';
import { OperationFailure } from './operation.errors.js';
import type { PagePosition } from './pages.js';

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
  readonly operations: Map<string, CompiledOperation>;
}

/** The findings of a test of a connection. */
export interface ConnectionHealth {
  /** The name of the account, if the system tells it. */
  readonly account: string | undefined;
}

/** Compiled connectors that are kept. One takes up to some 100 kB. */
const mostCompiled = 500;
const coded: Readonly<Record<string, CodedOperations>> = codedOperations;
const healthOperation = 'health check';

/** The built-in connector of this name. */
export const builtInConnectorOf: ConnectorLookup = (_, name) => builtInConnectors().get(name);

/** Runs operations of connectors. */
export class Connectors {
  private readonly http: HttpClient;
  private readonly connectorOf: ConnectorLookup;
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
    return this.compiledOf(call).page(call, position);
  }

  /**
   * Looks for the effect of an operation of the class `verify`. `unknown`: the look-up was refused, and would be again.
   * @throws OperationFailure of a failure that may pass; otherwise as {@link run}
   */
  async verify(call: OperationCall): Promise<Verification> {
    const { idempotency } = this.operation(call.connection, call.operation);
    if (idempotency?.class !== 'verify') throw new Error(`The operation ${call.operation} cannot be verified`);
    try {
      const found = await this.run({ ...call, operation: idempotency.operation });
      return found.output === null ? 'absent' : { found };
    } catch (error) {
      if (error instanceof OperationFailure && error.outcome !== 'retry') return 'unknown';
      throw error;
    }
  }

  /** Tests whether the system takes the credential; undefined if its connector has no test. @throws as {@link run} */
  async check({ connection, signal }: Pick<OperationCall, 'connection' | 'signal'>): Promise<ConnectionHealth | undefined> {
    const { tenant, connector } = connection;
    const { health } = this.specOf(tenant, connector);
    if (health === undefined) return undefined;
    const { output } = await this.compiledOf({ connection, operation: healthOperation }).run({
      connection,
      operation: healthOperation,
      input: {},
      effectKey: '',
      signal,
    });
    return { account: typeof output === 'string' ? output : undefined };
  }

  private specOf(tenant: string, name: string): ConnectorSpec {
    const spec = this.connectorOf(tenant, name);
    if (spec === undefined) throw new NotFound('connector', name, { message: `There is no connector ${name}` });
    return spec;
  }

  private compiledOf({ connection, operation: name }: Pick<OperationCall, 'connection' | 'operation'>): CompiledOperation {
    const { tenant, connector } = connection;
    const spec = this.specOf(tenant, connector);
    const key = `${tenant}/${connector}`;
    let compiled = this.compiled.get(key);
    if (compiled?.spec !== spec) this.compiled.set(key, (compiled = { spec, operations: new Map() }));
    const known = compiled.operations.get(name);
    if (known !== undefined) return known;
    const operation = name === healthOperation ? healthCheck(spec) : this.operation(connection, name);
    const make = coded[connector]?.[name];
    const made = new CompiledOperation(name, operation, spec, { http: this.http, owner: tenant, make });
    compiled.operations.set(name, made);
    return made;
  }
}

function healthCheck({ health }: ConnectorSpec): ConnectorOperation {
  const { request, account } = health!;
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
