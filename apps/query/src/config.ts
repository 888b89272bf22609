import { integer, optionalBearerKey, optionalUrl, text } from '#libs/config';
import type { Settings } from '#libs/config';
import { outboundSettings } from '#libs/http';
import { secretStoreSettings } from '#libs/secret-stores';
import type { SecretStoreSettings } from '#libs/secret-stores';
import { browserSettings, doorSettings, serviceSettings } from '#libs/service';

export const querySettings = {
  ...serviceSettings,
  ...doorSettings,
  ...browserSettings,
  queryDatabaseUrl: optionalUrl('QUERY_DATABASE_URL', ['postgres', 'postgresql'], {
    help: 'Address of Postgres for what callers read and write, with a login that is a member of `millrace_query` only. Empty: DATABASE_URL, whose login must be a member of both roles.',
    secret: true,
  }),
  operatorKey: optionalBearerKey('OPERATOR_KEY', {
    help: 'The operator’s key: at the doors of query it may do everything in the tenant that the header millrace-tenant names; the doors of ingestion take keys of tenants only. Empty: there is no operator.',
  }),
  apiKeyEnvironment: text('API_KEY_ENVIRONMENT', {
    help: 'Environment in new API keys, after mr_; it tells the keys of installations apart.',
    fallback: 'live',
  }),
  ...outboundSettings,
  consentCallbackUrl: optionalUrl('CONSENT_CALLBACK_URL', ['http', 'https'], {
    help: 'The address of /connections/callback at this installation as browsers reach it, such as https://millrace.example/connections/callback. It is registered as the redirect URI of each OAuth client. Empty: connections whose grant needs a person cannot be authorised.',
  }),
  webhooksUrl: optionalUrl('WEBHOOKS_URL', ['http', 'https'], {
    help: 'The address of /webhooks at this installation as partners reach it, such as https://millrace.example/webhooks. Webhooks are registered at partners under it, unless a source has a `publicUrl`. Empty: only for sources with a `publicUrl`.',
  }),
  ...secretStoreSettings,
  secretsRefreshMs: integer(
    'SECRETS_REFRESH_MS',
    { min: 1_000, max: 86_400_000 },
    {
      help: 'How often the secret store is looked into for secrets that changed.',
      fallback: '60000',
    },
  ),
  graphqlTimeoutMs: integer(
    'GRAPHQL_TIMEOUT_MS',
    { min: 100, max: 60_000 },
    {
      help: 'How long a GraphQL request may take.',
      fallback: '10000',
    },
  ),
  graphqlMaxCost: integer(
    'GRAPHQL_MAX_COST',
    { min: 100, max: 1_000_000 },
    {
      help: 'Highest cost of a GraphQL operation, by the prices in @cost.',
      fallback: '10000',
    },
  ),
};

/** The settings that the module needs; the others are for the process around it. */
export type QuerySettings = Pick<
  Settings<typeof querySettings>,
  | 'databaseUrl'
  | 'databaseCaFile'
  | 'databaseCertificateFile'
  | 'databaseKeyFile'
  | 'queryDatabaseUrl'
  | 'databasePoolSize'
  | 'secretsKey'
  | 'allowedOrigins'
  | 'operatorKey'
  | 'apiKeyEnvironment'
  | 'graphqlTimeoutMs'
  | 'graphqlMaxCost'
  | 'allowPrivateAddresses'
  | 'allowedUrls'
  | 'consentCallbackUrl'
  | 'webhooksUrl'
  | 'secretsRefreshMs'
> &
  SecretStoreSettings;
