import type { SignatureScheme, SignatureSchemeKind, SignatureSchemeOf } from '#libs/contracts';
import type { SchemeVerifier, Verifier, VerifierOptions } from './scheme-verifier.js';
import { schemeVerifiers } from './schemes.generated.js';

/** A kind declared in `libs/contracts` without a verifier here does not compile. */
const verifiers: { readonly [K in SignatureSchemeKind]: SchemeVerifier<SignatureSchemeOf<K>> } = schemeVerifiers;

function verifierOf(scheme: SignatureScheme): SchemeVerifier<SignatureScheme> {
  return verifiers[scheme.kind ?? 'hmac'];
}

/** @throws SecretInvalid, PublicUrlMissing, ParameterMissing */
export function createVerifier(
  scheme: SignatureScheme,
  secrets: readonly string[],
  options: Omit<VerifierOptions, 'secrets'> = {},
): Verifier {
  return verifierOf(scheme).create(scheme, { ...options, secrets });
}

/** Describes a scheme for the table in `docs/providers.md`. */
export function describeScheme(scheme: SignatureScheme): string {
  return verifierOf(scheme).describe(scheme);
}
