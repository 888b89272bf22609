import type { SignatureScheme } from '#libs/contracts';
import type { HeaderAliases, VerifiableRequest } from './request.js';

/** A scheme with the secrets of a source, compiled once per version of its document. */
export interface Verifier {
  /**
   * Returns only if the request was signed with (or carries) one of the secrets, and its timestamp is within the tolerance.
   * @param nowMs the time at which the request was received
   * @throws SignatureMissing, SignatureMalformed, SignatureMismatch, SignatureExpired
   */
  verify(request: VerifiableRequest, nowMs: number): void;
}

export interface VerifierOptions {
  /** Keys, tokens, credentials or certificates, as the kind of the scheme reads them. Any of them verifies. */
  readonly secrets: readonly string[];
  /** Default: each header has one spelling. */
  readonly aliases?: HeaderAliases;
  /** The address of the source as the provider calls it; for schemes that sign the URL. */
  readonly publicUrl?: string | undefined;
  /** The values of the source for terms such as `{parameter.webhookId}`. Default: none. */
  readonly parameters?: Readonly<Record<string, string>>;
}

/** One kind of scheme: how it verifies, and how the documentation describes it. Each kind is one file in `schemes`. */
export interface SchemeVerifier<S extends SignatureScheme> {
  /** @throws SecretInvalid, PublicUrlMissing, ParameterMissing */
  create(scheme: S, options: VerifierOptions): Verifier;
  /** The cell of a preset in the table of `docs/providers.md`: where the signature stands and what is signed. */
  describe(scheme: S): string;
}
