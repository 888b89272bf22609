import type { AuthOf } from '#libs/contracts';
import type { ClientCertificate } from '#libs/http';
import { fixedCredentials } from './auths.generated.js';
import type { AuthorizedRequest, Authorizer, OutboundRequest } from './authorizer.js';
import type { Credential, FixedAuthKind } from './credential.js';

/** A kind whose credential stands in the document, without the code that puts it on a request, does not compile here. */
const credentials: { readonly [K in FixedAuthKind]: Credential<K> } = fixedCredentials;

export interface FixedAuthorizerOptions {
  readonly auth: AuthOf<FixedAuthKind>;
  readonly tls: ClientCertificate | undefined;
  /** The version of the document. */
  readonly version: number;
  readonly clock: () => number;
  readonly noteUse: () => void;
  readonly noteRefusal: () => Promise<void>;
}

/** Puts a credential on requests that stays the same until another version of the document is applied. */
export class FixedAuthorizer implements Authorizer {
  constructor(private readonly options: FixedAuthorizerOptions) {}

  async authorize(request: OutboundRequest): Promise<AuthorizedRequest> {
    const { auth, tls, version, clock, noteUse } = this.options;
    const apply = credentials[auth.kind] as Credential<FixedAuthKind>;
    const { secrets, ...credentialed } = apply(request, auth, new Date(clock()));
    noteUse();
    return withCertificate({ ...credentialed, secrets, version }, tls);
  }

  async refused(): Promise<boolean> {
    await this.options.noteRefusal();
    return false;
  }

  async account(): Promise<Readonly<Record<string, string>>> {
    return {};
  }
}

/** The request with the client certificate, if there is one. */
export function withCertificate(request: AuthorizedRequest, tls: ClientCertificate | undefined): AuthorizedRequest {
  return tls === undefined ? request : { ...request, secrets: [...request.secrets, tls.key], tls };
}
