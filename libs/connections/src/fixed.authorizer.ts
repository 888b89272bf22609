import { clearText } from '#libs/contracts';
import type { AuthOf } from '#libs/contracts';
import type { ClientCertificate } from '#libs/http';
import { fixedCredentials } from './auths.generated.js';
import type { AuthorizedRequest, Authorizer, Login, OutboundRequest } from './authorizer.js';
import type { CredentialNotes } from './connection-notes.js';
import type { Credential, FixedAuthKind } from './credential.js';

/** A kind whose credential stands in the document, without the code that puts it on a request, does not compile here. */
const credentials: { readonly [K in FixedAuthKind]: Credential<K> } = fixedCredentials;

export interface FixedAuthorizerOptions {
  readonly auth: AuthOf<FixedAuthKind>;
  readonly tls: ClientCertificate | undefined;
  /** The version of the document. */
  readonly version: number;
  readonly clock: () => number;
  readonly notes: CredentialNotes;
}

/** Puts a credential on requests that stays the same until another version of the document is applied. */
export class FixedAuthorizer implements Authorizer {
  constructor(private readonly options: FixedAuthorizerOptions) {}

  async authorize(request: OutboundRequest): Promise<AuthorizedRequest> {
    const { auth, tls, version, clock, notes } = this.options;
    const apply = credentials[auth.kind] as Credential<FixedAuthKind>;
    const { secrets, ...credentialed } = apply(request, auth, new Date(clock()));
    notes.used();
    return withCertificate({ ...credentialed, secrets, version }, tls);
  }

  async login(): Promise<Login> {
    const { auth, tls, version, notes } = this.options;
    const login = loginOf(auth);
    notes.used();
    const secrets = [login.password, login.token, tls?.key].filter((secret) => secret !== undefined);
    return { ...login, secrets, version, ...(tls === undefined ? {} : { tls }) };
  }

  async refused(): Promise<boolean> {
    await this.options.notes.refused();
    return false;
  }

  accepted(): void {
    this.options.notes.accepted();
  }

  async account(): Promise<Readonly<Record<string, string>>> {
    return {};
  }
}

/** @throws Error for a kind that only requests of HTTP can carry: no connector of another protocol takes it */
function loginOf(auth: AuthOf<FixedAuthKind>): Pick<Login, 'username' | 'password' | 'token'> {
  if (auth.kind === 'none') return {};
  if (auth.kind === 'basic') return { username: auth.username, password: clearText(auth.password) };
  if (auth.kind === 'bearer') return { token: clearText(auth.token) };
  throw new Error(`A credential of the kind ${auth.kind} can be put on requests of HTTP only`);
}

/** The request with the client certificate, if there is one. */
export function withCertificate(request: AuthorizedRequest, tls: ClientCertificate | undefined): AuthorizedRequest {
  return tls === undefined ? request : { ...request, secrets: [...request.secrets, tls.key], tls };
}
