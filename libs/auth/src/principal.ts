import type { Scope } from '#libs/contracts';
import { ScopeMissing } from './credential.errors.js';

/** An authenticated caller and its rights. */
export interface Principal {
  readonly keyId: string;
  /** The one tenant this principal acts in. */
  readonly tenant: string;
  readonly scopes: readonly Scope[];
  /** The name in audit entries and documents: `key:<id>`, or `operator`. */
  readonly actor: string;
}

/**
 * `admin` implies every scope, within the principal's tenant.
 * @throws ScopeMissing
 */
export function requireScope(principal: Principal, scope: Scope): void {
  if (!principal.scopes.includes(scope) && !principal.scopes.includes('admin')) throw new ScopeMissing(scope, principal.scopes);
}
