import { DomainError } from '#libs/contracts';
import type { Scope } from '#libs/contracts';

export class CredentialMissing extends DomainError {
  readonly code = 'credential.missing';

  constructor() {
    super('Send an API key in the header `Authorization: Bearer mr_…`.');
  }
}

/** Has one message for every reason, so that trying keys reveals nothing. */
export class CredentialInvalid extends DomainError {
  readonly code = 'credential.invalid';

  constructor() {
    super('The API key is unknown, revoked or expired. Ask an administrator of your tenant for a new one.');
  }
}

/** The credential has not the form of an API key, at a door that takes nothing else. The form is no secret. */
export class ApiKeyExpected extends DomainError {
  readonly code = 'credential.invalid';

  constructor() {
    super(
      'Only API keys of a tenant (`mr_…`) are taken here, and not the operator key. Create one with the mutation `createApiKey` and send it in the header `Authorization: Bearer mr_…`.',
    );
  }
}

export class ScopeMissing extends DomainError {
  readonly code = 'credential.scope';

  constructor(
    readonly scope: Scope,
    held: readonly Scope[],
  ) {
    super(`This needs the scope ${scope}; the API key has ${held.join(', ') || 'none'}. Use a key with that scope.`);
  }
}

/** A tenant's key was sent with the name of another tenant. */
export class TenantForbidden extends DomainError {
  readonly code = 'credential.scope';
  override readonly field = 'millrace-tenant';

  constructor() {
    super(
      'The API key belongs to another tenant than the header `millrace-tenant` names. Leave the header out: a key acts in its own tenant.',
    );
  }
}

/** The operator key was sent without the tenant to act in. */
export class TenantNotNamed extends DomainError {
  readonly code = 'request.invalid';
  override readonly field = 'millrace-tenant';

  constructor() {
    super(
      'The operator key acts in the tenant that the header `millrace-tenant` names: send it, with 1 to 63 lower-case letters, digits or dashes.',
    );
  }
}
