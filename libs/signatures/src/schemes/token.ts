import type { SignatureSchemeOf } from '#libs/contracts';
import { headerNames, headerValue, queryValue } from '../request.js';
import type { HeaderNames, VerifiableRequest } from '../request.js';
import type { SchemeVerifier, Verifier, VerifierOptions } from '../scheme-verifier.js';
import { SecretTexts } from '../secret-text.js';
import { SignatureMalformed, SignatureMismatch, SignatureMissing } from '../signature.errors.js';

type TokenScheme = SignatureSchemeOf<'token'>;

export const tokenVerifier: SchemeVerifier<TokenScheme> = {
  create: (scheme, options) => new TokenVerifier(scheme, options),
  describe: ({ header, prefix, query }) =>
    `${header === undefined ? `the query parameter \`${query}\`` : `\`${header}\``} carries the secret${prefix === '' ? '' : ` after \`${prefix}\``}`,
};

class TokenVerifier implements Verifier {
  private readonly tokens: SecretTexts;
  private readonly header: HeaderNames | undefined;

  constructor(
    private readonly scheme: TokenScheme,
    { secrets, aliases = {} }: VerifierOptions,
  ) {
    this.tokens = new SecretTexts(secrets);
    this.header = scheme.header === undefined ? undefined : headerNames(scheme.header, aliases);
  }

  verify(request: VerifiableRequest): void {
    if (!this.tokens.include(this.token(request))) throw new SignatureMismatch('The token is not an active secret of this source');
  }

  private token(request: VerifiableRequest): string {
    const { query, prefix } = this.scheme;
    const value = this.header === undefined ? queryValue(request, query!) : headerValue(request, this.header);
    const place = this.header === undefined ? `query parameter ${query}` : `header ${this.header[0]}`;
    if (value === undefined) throw new SignatureMissing(place);
    if (this.header === undefined) return value;
    if (!value.startsWith(prefix)) throw new SignatureMalformed(`The ${place} does not begin with ${prefix}`);
    return value.slice(prefix.length);
  }
}
