import { Injectable } from '@nestjs/common';
import { KeyRing } from '#libs/auth';
import type { Principal } from '#libs/auth';
import { LoaderFactory } from './loaders.js';
import type { Loaders } from './loaders.js';

/** What every resolver gets: who asks, and what it loads with. The tenant comes from here and from nowhere else. */
export interface QueryContext {
  principal: Principal;
  loaders: Loaders;
}

export interface Credentials {
  /** As the header `authorization`. */
  authorization: string | undefined;
  /** As the header `millrace-tenant`: which tenant the operator acts in. */
  tenant: string | undefined;
}

/** The one way in, for HTTP and for sockets. */
@Injectable()
export class ContextFactory {
  constructor(
    private readonly keys: KeyRing,
    private readonly loaders: LoaderFactory,
  ) {}

  /** @throws CredentialMissing, CredentialInvalid */
  async authenticated({ authorization, tenant }: Credentials): Promise<QueryContext> {
    const principal = await this.keys.authenticate(authorization, tenant);
    return { principal, loaders: this.loaders.of(principal.tenant) };
  }
}
