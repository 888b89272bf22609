import { clearText } from '#libs/contracts';
import type { AuthOf, ConnectionAuth, ConnectionDocument } from '#libs/contracts';
import type { ClientCertificate } from '#libs/http';
import type { DocumentSecrets, Stored } from '#libs/persistence';
import { wallTimeMs } from '#libs/time';
import { fixedCredentials } from './auths.generated.js';
import type { AuthorizedRequest, Authorizer, OutboundRequest } from './authorizer.js';
import type { Credential, FixedAuthKind } from './credential.js';

/** A kind whose credential stands in the document, without the code that puts it on a request, does not compile here. */
const credentials: { readonly [K in FixedAuthKind]: Credential<K> } = fixedCredentials;

export interface ConnectionsOptions {
  readonly secrets: DocumentSecrets;
  /** The current time in ms since 1970, for signatures. Default: the wall clock. */
  readonly clock?: () => number;
}

/** The authorisers of connections. No other code opens their credentials. */
export class Connections {
  private readonly clock: () => number;

  constructor(private readonly options: ConnectionsOptions) {
    this.clock = options.clock ?? wallTimeMs;
  }

  /** @throws DocumentSecretsUnreadable */
  of(connection: Stored<ConnectionDocument>): Authorizer {
    const { auth } = this.options.secrets.openedConnection(connection.document).spec;
    const { credential, tls } = partsOf(auth);
    return new FixedAuthorizer(credential, tls, connection.version, this.clock);
  }
}

/** Puts a credential on requests that stays the same until another version of the document is applied. */
class FixedAuthorizer implements Authorizer {
  constructor(
    private readonly auth: AuthOf<FixedAuthKind>,
    private readonly tls: ClientCertificate | undefined,
    private readonly version: number,
    private readonly clock: () => number,
  ) {}

  async authorize(request: OutboundRequest): Promise<AuthorizedRequest> {
    const apply = credentials[this.auth.kind] as Credential<FixedAuthKind>;
    const { secrets, ...credentialed } = apply(request, this.auth, new Date(this.clock()));
    const { tls } = this;
    return {
      ...credentialed,
      secrets: tls === undefined ? secrets : [...secrets, tls.key],
      ...(tls === undefined ? {} : { tls }),
      version: this.version,
    };
  }

  async refused(): Promise<boolean> {
    return false;
  }
}

/** The client certificate of the credential, and what requests carry beside it. */
function partsOf(auth: ConnectionAuth): { credential: AuthOf<FixedAuthKind>; tls?: ClientCertificate } {
  if (auth.kind !== 'mtls') return { credential: auth };
  const { certificate: cert, key, ca, and } = auth;
  return { credential: and ?? { kind: 'none' }, tls: { cert, key: clearText(key), ...(ca === undefined ? {} : { ca }) } };
}
