import type { Login } from '#libs/connections';
import type { HttpClient } from '#libs/http';
import type { Json } from '#libs/json';
import type { ConnectionHealth, OperationCall, OperationResult } from './connector.js';

/** One use of a system that does not speak HTTP. */
export interface DriverUse {
  readonly connection: Pick<OperationCall['connection'], 'tenant' | 'name'>;
  /** With the defaults of the manifest. */
  readonly settings: { readonly [name: string]: Json };
  readonly login: Login;
  /** When it must have ended, by the monotonic clock. */
  readonly endsAtMs: number;
  /** Called once a session is open, before it is used for what may take effect. @throws if the operation may not be sent any more */
  readonly requireClaim?: (() => void) | undefined;
  /** Ends then, or earlier. */
  readonly signal: AbortSignal;
}

/** One use of an operation of such a system. */
export interface DriverCall extends DriverUse {
  readonly operation: string;
  /** Fits the schema of the manifest. */
  readonly input: Json;
  readonly effectKey: string;
  readonly firstAttemptAt: Date;
}

/** Speaks the protocol of one kind of system. A process has at most one of each, and loads it when it is first used. */
export interface Driver {
  /** @throws OperationFailure, InputRefused; the signal's reason only if nothing took effect */
  run(call: DriverCall): Promise<OperationResult>;
  /** Tests whether the system takes the credential. @throws OperationFailure; the signal's reason */
  check(use: DriverUse): Promise<ConnectionHealth>;
  /** Ends all connections to systems. */
  close(): Promise<void>;
}

/** The parts that every driver is made of. */
export interface DriverTools {
  /** Knows which addresses may be reached. */
  readonly http: HttpClient;
}

export type DriverClass = new (tools: DriverTools) => Driver;
