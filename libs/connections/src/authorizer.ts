import type { ClientCertificate } from '#libs/http';

/** A request that is to be sent as a connection. */
export interface OutboundRequest {
  readonly method: string;
  readonly url: string;
  /** By lower-case name. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
}

/**
 * A request with its credential. It is sent as it is: a signature covers its method, address, headers and body. Headers that do not belong to the
 * signed ones, such as `traceparent`, may be added.
 */
export interface AuthorizedRequest extends OutboundRequest {
  /** Texts that a peer may repeat, to be redacted from what it says. */
  readonly secrets: readonly string[];
  readonly tls?: ClientCertificate;
  /** The version of the credential: of the token, or of the document if the credential stands in it. */
  readonly version: number;
}

/** The credential for a system that does not speak HTTP. Without a password and a token, it asks for none. */
export interface Login {
  readonly username?: string;
  readonly password?: string;
  /** An access token in the place of a password. */
  readonly token?: string;
  readonly tls?: ClientCertificate;
  /** Texts that a peer may repeat, to be redacted from what it says. */
  readonly secrets: readonly string[];
  /** The version of the credential: of the token, or of the document if the credential stands in it. */
  readonly version: number;
}

/** Puts the credential of one connection on its requests. */
export interface Authorizer {
  /**
   * Adds the credential: a header, a query parameter, a signature, a client certificate. Refreshes a token first if it is due.
   * @throws ConnectionNeedsReauth if nothing can be sent before a person acts; ConnectionUnavailable if no token can be had for now. Nothing was
   *   sent then. The signal's reason if that ended it.
   */
  authorize(request: OutboundRequest, signal: AbortSignal): Promise<AuthorizedRequest>;
  /**
   * The peer refused the credential of that request (401, or what its protocol says instead).
   * @returns true if there is a newer credential now, so that the request can be authorised and sent once more; false if that does not help
   */
  refused(request: Pick<AuthorizedRequest, 'version'>, signal: AbortSignal): Promise<boolean>;
  /** The peer took the credential: what was asked of it has been done. */
  accepted(): void;
  /**
   * The credential for a system that does not speak HTTP. Refreshes a token first if it is due.
   * @throws as {@link authorize}
   */
  login(signal: AbortSignal): Promise<Login>;
  /**
   * The account, as the system named it with its token, by the names that the document keeps, such as `instance_url`. Empty for other kinds.
   * @throws as {@link authorize}
   */
  account(signal: AbortSignal): Promise<Readonly<Record<string, string>>>;
}
