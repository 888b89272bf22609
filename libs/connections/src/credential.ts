import type { AuthKind, AuthOf } from '#libs/contracts';
import type { OutboundRequest } from './authorizer.js';

/** The kinds whose credential stands in the document alone. */
export type FixedAuthKind = Exclude<AuthKind, 'mtls' | 'oauth2'>;

/** A request with the credential of a document, and the texts of it that must not be repeated. */
export interface CredentialedRequest extends OutboundRequest {
  readonly secrets: readonly string[];
}

/** Puts the credential of an opened document on a request. */
export type Credential<K extends FixedAuthKind> = (request: OutboundRequest, auth: AuthOf<K>, now: Date) => CredentialedRequest;

/** The request with a header of this name, which takes the place of one that differs only in case. */
export function withHeader(request: OutboundRequest, name: string, value: string): OutboundRequest {
  const others = Object.entries(request.headers).filter(([other]) => other.toLowerCase() !== name.toLowerCase());
  return { ...request, headers: { ...Object.fromEntries(others), [name.toLowerCase()]: value } };
}
