import { z } from 'zod';
import { credentialHeader, headerText } from '../credential.js';
import { secret } from '../secret.js';

/** Loopback addresses, for which OAuth allows `http` (RFC 8252 §7.3); the address guard decides whether they may be reached. */
const loopback = /^(localhost|127\.0\.0\.1|\[::1\])$/;

function isEncrypted(address: string): boolean {
  const url = URL.parse(address);
  return url === null || url.protocol === 'https:' || loopback.test(url.hostname);
}

const endpoint = z
  .url({ protocol: /^https?$/, error: 'must be an https address' })
  .refine(isEncrypted, 'must be an https address: the credential of the client is sent to it')
  .refine((address) => !URL.canParse(address) || new URL(address).hash === '', 'must have no fragment');

/** Parameters that the grant itself sets. */
const ownParameters =
  /^(assertion|client_assertion|client_assertion_type|client_id|client_secret|code|code_challenge|code_challenge_method|code_verifier|grant_type|redirect_uri|refresh_token|response_type|scope|state)$/;

const parameters = z
  .record(
    z
      .string()
      .min(1)
      .max(100)
      .refine((name) => !ownParameters.test(name), 'is a parameter that Millrace sets itself: leave it out'),
    z.string().max(2_000),
  )
  .refine((given) => Object.keys(given).length <= 20, 'must have at most 20 entries')
  .default({});

const fieldName = z.string().min(1).max(100);

const tokenResponse = z
  .strictObject({
    tokenType: z
      .literal('bearer')
      .optional()
      .describe('Takes the token for a bearer token, whatever the answer says of its type. Slack says `bot`.'),
    failedWhen: z
      .strictObject({
        field: fieldName.describe('The field of the answer, such as `ok`.'),
        equals: z
          .union([z.string().max(200), z.number(), z.boolean()])
          .describe('The value that says that the request failed, such as `false`.'),
      })
      .optional()
      .describe('How an answer with a status of success says that it is none. Slack answers 200 with `ok: false`.'),
    errorField: fieldName.default('error').describe('The field that has the code of the failure.'),
    invalidGrant: z
      .array(z.string().min(1).max(200))
      .max(20)
      .default([])
      .describe('Codes that mean that the grant is gone, beside `invalid_grant`, such as `invalid_refresh_token`.'),
  })
  .prefault({})
  .describe('How the token endpoint deviates from RFC 6749. Answers that are encoded as a form, or without a type, are read in any case.');

const common = {
  kind: z.literal('oauth2').describe('An access token that is obtained and renewed by OAuth 2 (RFC 6749).'),
  issuer: endpoint
    .optional()
    .describe('The issuer, whose metadata names the endpoints (RFC 8414, OpenID Connect Discovery). Either this or `endpoints`.'),
  clientId: headerText.min(1).describe('The id of the client that is registered at the system.'),
  clientSecret: secret.optional().describe('The secret of the client.'),
  clientAuthentication: z
    .enum(['post', 'basic', 'none', 'tls'])
    .default('post')
    .describe(
      'How the client proves itself at the token endpoint: `post`: its secret in the body; `basic`: in `Authorization`; `none`: a public client; `tls`: by the certificate of `mtls` (RFC 8705).',
    ),
  scopes: z
    .array(z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]{1,500}$/, 'must be visible characters without spaces'))
    .max(200)
    .default([])
    .describe('The scopes to ask for.'),
  tokenHeader: credentialHeader
    .optional()
    .describe(
      'The header that takes the access token as it is, such as `X-Shopify-Access-Token`. Default: `Authorization`, after `Bearer`.',
    ),
  tokenParameters: parameters.describe('Further parameters of requests to the token endpoint, such as `audience`.'),
  tokenResponse,
  keep: z
    .array(fieldName)
    .max(20)
    .default([])
    .describe('Fields of the token answer that say which account it is, such as `instance_url`. They are shown, and kept with the token.'),
};

const tokenEndpoint = endpoint.describe('The token endpoint.');
const revokeEndpoint = endpoint.optional().describe('The revocation endpoint (RFC 7009), where there is one.');

const authorizationCode = z
  .strictObject({
    ...common,
    grant: z.literal('authorizationCode').describe('A person gives consent once, in a browser; the token is renewed from then on.'),
    endpoints: z
      .strictObject({
        authorize: endpoint.describe('The page at which a person gives consent.'),
        token: tokenEndpoint,
        revoke: revokeEndpoint,
      })
      .optional()
      .describe('The endpoints, where the system publishes no metadata.'),
    authorizeParameters: parameters.describe(
      'Further parameters of the consent page, such as `access_type: offline` or `prompt: consent` of Google.',
    ),
  })
  .describe('Authorization code with PKCE (RFC 7636): a person gives consent in a browser.');

const machineEndpoints = z
  .strictObject({ token: tokenEndpoint, revoke: revokeEndpoint })
  .optional()
  .describe('The endpoints, where the system publishes no metadata.');

const clientCredentials = z
  .strictObject({
    ...common,
    grant: z.literal('clientCredentials').describe('The client acts for itself; nobody gives consent.'),
    endpoints: machineEndpoints,
  })
  .describe('Client credentials (RFC 6749 §4.4).');

const jwtBearer = z
  .strictObject({
    ...common,
    grant: z.literal('jwtBearer').describe('The client signs a statement about whom it acts for; nobody gives consent.'),
    endpoints: machineEndpoints,
    clientAuthentication: common.clientAuthentication
      .unwrap()
      .default('none')
      .describe('As for the other grants; the statement itself is often enough.'),
    jwt: z
      .strictObject({
        privateKey: secret.describe('The private key in PEM that signs the statement.'),
        algorithm: z.enum(['RS256', 'PS256', 'ES256']).default('RS256').describe('The algorithm of the signature.'),
        keyId: z.string().min(1).max(500).optional().describe('The id of the key, `kid`.'),
        issuer: z.string().min(1).max(500).optional().describe('`iss`; default: the client’s id.'),
        subject: z.string().min(1).max(500).describe('`sub`: the user or service account that the client acts for.'),
        audience: z.string().min(1).max(500).optional().describe('`aud`; default: the token endpoint.'),
        lifetimeSeconds: z.int().min(30).max(3_600).default(180).describe('How long a statement holds, in seconds.'),
        claims: z
          .record(z.string().max(100), z.union([z.string().max(2_000), z.number(), z.boolean()]))
          .default({})
          .describe('Further claims.'),
      })
      .describe('The statement (RFC 7523). `scopes` are sent beside it, and stand in it as `scope` too.'),
  })
  .describe('A signed statement as the grant (RFC 7523), as Salesforce, Google and DocuSign take it.');

export const oauth2Auth = z.discriminatedUnion('grant', [authorizationCode, clientCredentials, jwtBearer]);
