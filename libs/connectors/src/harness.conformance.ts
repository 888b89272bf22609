import { expect } from 'vitest';
import type { Authorizer } from '#libs/connections';
import type { ConnectorSpec } from '#libs/contracts';
import { HttpClient } from '#libs/http';
import type { Json } from '#libs/json';
import { builtInConnectors } from './built-in.js';
import type { OpenConnection, OperationResult, RepeatedCall } from './connector.js';
import { Connectors } from './connectors.js';
import { OperationFailure } from './operation.errors.js';

/** Texts that must arrive as they are, wherever they stand, or be refused. */
export const hostileTexts = [
  'a/b',
  '..',
  '.',
  '%2e%2e',
  '../..',
  '?x=1',
  '#f',
  ';a=b',
  "O'Hara",
  String.raw`\' OR Name LIKE '%`,
  '"',
  '}}',
  '{input.x}',
  '${x}',
  'a\r\nX-Injected: 1',
  'a\nb',
  '\u0000',
  'left\u202Eright',
  'ä€😀',
  ' lead',
  '<!channel> & <@U1>',
  String.raw`back\slash`,
  '\ud800',
];

/** A connection without a credential. */
export const withoutCredential: Authorizer = {
  authorize: async (request) => ({ ...request, secrets: [], version: 1 }),
  login: async () => ({ secrets: [], version: 1 }),
  accepted: () => undefined,
  refused: async () => false,
  account: async () => ({}),
};

export interface HarnessParts<A extends Authorizer> {
  /** The name of the connector. */
  readonly name: string;
  /** The address of the system, which may be reached although it is not public. */
  readonly url: string;
  readonly settings: () => { readonly [name: string]: Json };
  readonly authorizer: A;
  /** Default: the built-in connector of the name. */
  readonly spec?: ConnectorSpec | undefined;
}

/** One connector with a connection to the system that it is tested with. */
export class ConnectorHarness<A extends Authorizer> {
  readonly spec: ConnectorSpec;
  readonly connectors: Connectors;
  readonly authorizer: A;
  private readonly http: HttpClient;
  private readonly stop = new AbortController();

  constructor(private readonly parts: HarnessParts<A>) {
    this.spec = parts.spec ?? builtInConnectors().get(parts.name)!;
    this.authorizer = parts.authorizer;
    this.http = new HttpClient({ allowPrivateAddresses: false, allowedUrls: [parts.url] });
    this.connectors = new Connectors({ http: this.http, connectorOf: () => this.spec });
  }

  connection(timeoutMs = 10_000): OpenConnection {
    const { name, settings, authorizer } = this.parts;
    return { tenant: 'acme', name: 'system', connector: name, settings: settings(), authorizer, timeoutMs };
  }

  call(operation: string, input: Json, timeoutMs?: number): RepeatedCall {
    return {
      connection: this.connection(timeoutMs),
      operation,
      input,
      effectKey: 'key-1',
      firstAttemptAt: new Date('2026-01-01T00:00:00.000Z'),
      signal: this.stop.signal,
    };
  }

  run(operation: string, input: Json, timeoutMs?: number): Promise<OperationResult> {
    return this.connectors.run(this.call(operation, input, timeoutMs));
  }

  check(): ReturnType<Connectors['check']> {
    return this.connectors.check({ connection: this.connection(), signal: this.stop.signal });
  }

  abort(reason: Error): void {
    this.stop.abort(reason);
  }

  /** Does the work with connectors that no inner address is allowed to. */
  async guarded<T>(work: (connectors: Connectors) => Promise<T>): Promise<T> {
    const http = new HttpClient({ allowPrivateAddresses: false });
    const connectors = new Connectors({ http, connectorOf: () => this.spec });
    try {
      return await work(connectors);
    } finally {
      await connectors.close();
      await http.close();
    }
  }

  async close(): Promise<void> {
    await this.connectors.close();
    await this.http.close();
  }
}

/** The failure that work ends with, which must be one of an operation. */
export async function failureOf(work: Promise<unknown>): Promise<OperationFailure> {
  const error = await work.then(
    (result) => new Error(`it succeeded: ${JSON.stringify(result)}`),
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(OperationFailure);
  return error as OperationFailure;
}
