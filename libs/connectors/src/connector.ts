import type { Authorizer } from '#libs/connections';
import type { ConnectorSpec } from '#libs/contracts';
import type { HttpMethod } from '#libs/http';
import type { Json } from '#libs/json';
import type { Receipt } from './peer.js';

/** A connector whose operations are requests of HTTP. */
export type HttpConnectorSpec = ConnectorSpec & { readonly base: string };

/** A connection as operations use it. */
export interface OpenConnection {
  readonly tenant: string;
  readonly name: string;
  /** The name of its connector. */
  readonly connector: string;
  readonly settings: { readonly [name: string]: Json };
  readonly authorizer: Authorizer;
  /** Deadline of one operation, with everything that it needs, such as a fresh token. */
  readonly timeoutMs: number;
}

/** Secrets that a call gives to the system, or gets from it. */
export interface CallSecrets {
  /** Secrets within the input. */
  readonly given: readonly string[];
  /** Finds one that the system made in the body of an answer, which may be a failure. */
  readonly madeIn?: (body: Json) => Promise<string | undefined>;
}

/** One use of an operation. */
export interface OperationCall {
  readonly connection: OpenConnection;
  readonly operation: string;
  readonly input: Json;
  /** The same for every repeat of what should take effect once. */
  readonly effectKey: string;
  /** Secrets of what is asked for, beside the credential. No message and no receipt repeats them. */
  readonly secrets?: CallSecrets | undefined;
  /** When the first attempt began that may have reached the system. Default: now. */
  readonly firstAttemptAt?: Date | undefined;
  /** W3C trace context. */
  readonly traceparent?: string | undefined;
  /**
   * Called before each request of an operation that writes, after everything that takes time, such as a fresh token: the process may have stood still
   * meanwhile. @throws if whoever asked for the operation may not ask any more; nothing is sent then. Default: it always may
   */
  readonly requireClaim?: (() => void) | undefined;
  readonly signal: AbortSignal;
}

export interface OperationResult {
  readonly output: Json;
  readonly receipt: Receipt;
}

/** A call of which an earlier attempt may have reached the system. */
export interface RepeatedCall extends OperationCall {
  readonly firstAttemptAt: Date;
}

/** The findings of a test of a connection. */
export interface ConnectionHealth {
  /** The name of the account, if the system tells it. */
  readonly account: string | undefined;
  /** The response; undefined if a driver asked. */
  readonly receipt?: Receipt;
}

/**
 * The result of looking for the effect of an earlier attempt.
 * - `found`: it took effect
 * - `absent`: it did not, or its class lets it be repeated without knowing
 * - `unsettled`: the system may not show it before `settlesAtMs`, by the wall clock
 * - `unknown`: the system does not say, and would not later; `operation` is the one that was asked
 */
export type Verification =
  | { readonly is: 'found'; readonly operation: string; readonly result: OperationResult }
  | { readonly is: 'absent' }
  | { readonly is: 'unsettled'; readonly settlesAtMs: number }
  | { readonly is: 'unknown'; readonly operation: string };

/** The data that templates and expressions of a connector see. */
export interface OperationScope {
  readonly input: Json;
  readonly settings: { readonly [name: string]: Json };
  /** Facts about the account that the system gave with its token, such as the address of its instance. */
  readonly account: { readonly [name: string]: Json };
  readonly delivery: { readonly id: string; readonly firstAttemptAt: string; readonly firstAttemptSeconds: number };
  /** The page that is asked for, of an operation that reads a list. */
  readonly page?: { readonly cursor: Json; readonly number: number; readonly offset: number };
}

/** The parts of a request before they are put together. */
export interface RequestParts {
  readonly method: HttpMethod;
  /** Below the base, encoded. */
  readonly path: string;
  readonly query: readonly (readonly [name: string, value: string])[];
  /** By lower-case name. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | Buffer | undefined;
}

/** Makes the request of an operation of which data does not suffice. @throws InputRefused */
export type RequestMaker = (scope: OperationScope) => RequestParts;
/** The operations of a connector that are code, by name. */
export type CodedOperations = Readonly<Record<string, RequestMaker>>;
