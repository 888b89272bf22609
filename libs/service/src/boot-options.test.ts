import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { readSettings } from '#libs/config';
import { logOptions } from './boot-options.js';
import { logSettings } from './service.settings.js';

const file = fileURLToPath(import.meta.url);
const security = (environment: Record<string, string>) => logOptions(readSettings('demo', logSettings, environment)).security;

test('without settings, connections to the log are plain', () => {
  expect(security({})).toEqual({ tls: undefined, sasl: undefined });
});

test('certificates and logins come from the settings', () => {
  expect(
    security({
      KAFKA_TLS: 'true',
      KAFKA_CA_FILE: file,
      KAFKA_CERTIFICATE_FILE: file,
      KAFKA_KEY_FILE: file,
      KAFKA_SASL_MECHANISM: 'scram-sha-512',
      KAFKA_SASL_USERNAME: 'millrace',
      KAFKA_SASL_PASSWORD: 'p',
    }),
  ).toEqual({
    tls: { caFile: file, certificateFile: file, keyFile: file },
    sasl: { mechanism: 'scram-sha-512', username: 'millrace', password: 'p' },
  });
  expect(
    security({
      KAFKA_SASL_MECHANISM: 'oauthbearer',
      KAFKA_OAUTH_TOKEN_URL: 'https://id.example/token',
      KAFKA_OAUTH_CLIENT_ID: 'millrace',
      KAFKA_OAUTH_CLIENT_SECRET: 's',
    }),
  ).toMatchObject({ sasl: { mechanism: 'oauthbearer', clientSecret: 's', scope: undefined } });
});

test.each([
  [{ KAFKA_TLS: 'true', KAFKA_CERTIFICATE_FILE: file }, 'KAFKA_CERTIFICATE_FILE and KAFKA_KEY_FILE belong together'],
  [{ KAFKA_CA_FILE: file }, 'KAFKA_CA_FILE and KAFKA_CERTIFICATE_FILE need KAFKA_TLS=true'],
  [{ KAFKA_TLS: 'true', KAFKA_CA_FILE: '/nothing' }, 'KAFKA_CA_FILE must be a file that can be read (ENOENT)'],
  [{ KAFKA_SASL_MECHANISM: 'plain' }, 'KAFKA_SASL_MECHANISM=plain needs KAFKA_TLS=true: it sends the password as it is'],
  [{ KAFKA_SASL_MECHANISM: 'scram-sha-256' }, 'KAFKA_SASL_MECHANISM=scram-sha-256 needs KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD'],
  [
    { KAFKA_SASL_MECHANISM: 'oauthbearer', KAFKA_OAUTH_CLIENT_ID: 'a', KAFKA_OAUTH_CLIENT_SECRET: 'b' },
    'KAFKA_SASL_MECHANISM=oauthbearer needs KAFKA_OAUTH_TOKEN_URL',
  ],
  [{ KAFKA_SASL_MECHANISM: 'gssapi' }, 'KAFKA_SASL_MECHANISM must be one of none, plain'],
])('settings that do not fit together are refused with the remedy: %o', (environment, message) => {
  expect(() => security(environment as Record<string, string>)).toThrow(message);
});
