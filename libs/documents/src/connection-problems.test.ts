import { describe, expect, test } from 'vitest';
import { builtInConnectors } from '#libs/connectors';
import { canHoldSecrets, mapSecrets } from '#libs/contracts';
import type { ConnectionDocument } from '#libs/contracts';
import { testCertificates } from '#libs/testing';
import { connectorProblems } from './connector-problems.js';
import { doubtsAbout, readDocument, uncompilable } from './document-problems.js';

const value = 'k-123456789';
const documentOf = (spec: object): object => ({
  apiVersion: 'millrace/v1',
  kind: 'Connection',
  metadata: { tenant: 'acme', name: 'crm' },
  spec: { connector: 'rest', settings: { base: 'https://crm.example/api' }, auth: { kind: 'none' }, ...spec },
});

async function problemsOf(spec: object): Promise<string[]> {
  const read = readDocument(documentOf(spec));
  const problems =
    'problems' in read
      ? read.problems
      : [...(await uncompilable(read.document)), ...(await connectorProblems(read.document, () => undefined))];
  return problems.map(({ path, message }) => `${path.join('.')}: ${message}`);
}

const baseRefused =
  'spec.settings.base: must be an http or https address without user, password, query and fragment: credentials belong in `auth`';
const { client, other, authority } = testCertificates;
const mtls = { kind: 'mtls', certificate: client.cert, key: { value: client.key }, ca: authority };

const oauth = {
  kind: 'oauth2',
  grant: 'clientCredentials',
  clientId: 'c',
  clientSecret: { value },
  endpoints: { token: 'https://login.example/token' },
};

describe('a connection', () => {
  test.each([
    ['without a credential', { kind: 'none' }],
    ['with a key in a header', { kind: 'apiKey', in: 'header', name: 'X-Api-Key', prefix: 'Token ', value: { value } }],
    ['with a key in the query', { kind: 'apiKey', in: 'query', name: 'key', value: { value } }],
    ['with a password', { kind: 'basic', username: 'u', password: { value: 'pä ss' } }],
    ['with a token', { kind: 'bearer', token: { value } }],
    ['with a certificate', mtls],
    ['with a certificate and a token', { ...mtls, and: { kind: 'bearer', token: { value } } }],
    ['with an OAuth client', oauth],
    ['with an OAuth client and a certificate', { ...mtls, and: { ...oauth, clientSecret: undefined, clientAuthentication: 'tls' } }],
    [
      'with an AWS key',
      { kind: 'awsSigV4', accessKeyId: 'AKIDEXAMPLE', secretAccessKey: { value }, region: 'eu-central-1', service: 's3' },
    ],
  ])('%s is taken', async (_, auth) => {
    expect(await problemsOf({ auth })).toEqual([]);
  });

  test.each([
    [
      'an unknown connector',
      { connector: 'odd' },
      `spec.connector: names no connector of Millrace or of this tenant: odd (Millrace brings along ${[...builtInConnectors().keys()].join(', ')})`,
    ],
    ['a connector whose name is misspelt', { connector: 'graphq' }, expect.stringContaining('did you mean graphql?') as string],
    ['no base', { settings: {} }, 'spec.settings.base: is missing'],
    ['a base that is no text', { settings: { base: 1 } }, 'spec.settings.base: must be string'],
    ['a base that is no address', { settings: { base: 'crm' } }, baseRefused],
    ['a base with a password', { settings: { base: 'https://u:p@crm.example' } }, baseRefused],
    [
      'a setting that the connector does not have',
      { settings: { base: 'https://crm.example', extra: 1 } },
      'spec.settings.extra: is no setting: the connector has only base, health',
    ],
    [
      'an unknown kind of credential',
      { auth: { kind: 'magic' } },
      'spec.auth.kind: must be one of apiKey, awsSigV4, basic, bearer, none, oauth2, wsUsername, mtls',
    ],
    ['a key without its place', { auth: { kind: 'apiKey', name: 'x', value: { value } } }, 'spec.auth.in: must be one of header, query'],
    [
      'a key in a header that frames the message',
      { auth: { kind: 'apiKey', in: 'header', name: 'Content-Length', value: { value } } },
      'spec.auth.name: is a header that belongs to the message or to its connection, and can carry no credential',
    ],
    [
      'a token with a line break',
      { auth: { kind: 'bearer', token: { value: 'a\r\nb: c' } } },
      'spec.auth.token: must be visible ASCII characters',
    ],
    [
      'a user with a colon',
      { auth: { kind: 'basic', username: 'a:b', password: { value } } },
      'spec.auth.username: must not contain a colon: the system would read what follows as the password',
    ],
    [
      'a token in the clear',
      { auth: { kind: 'bearer', token: 'abc' } },
      'spec.auth.token: must be a secret: write `{ value: … }`, with its text in the place of …',
    ],
    [
      'a certificate over http',
      { auth: mtls, settings: { base: 'http://crm.example' } },
      'spec.settings.base: must begin with https: a client certificate needs TLS',
    ],
    [
      'the key of another certificate',
      { auth: { ...mtls, key: { value: other.key } } },
      'spec.auth.key: does not belong to the certificate',
    ],
    [
      'a key that is none',
      { auth: { ...mtls, key: { value } } },
      'spec.auth.key: cannot be read as a private key in PEM without a passphrase',
    ],
    [
      'a certificate within a certificate',
      { auth: { ...mtls, and: mtls } },
      'spec.auth.and.kind: must be one of apiKey, awsSigV4, basic, bearer, none, oauth2, wsUsername',
    ],
    [
      'a token endpoint without TLS',
      { auth: { ...oauth, endpoints: { token: 'http://login.example/token' } } },
      'spec.auth.endpoints.token: must be an https address: the credential of the client is sent to it',
    ],
    ['no endpoint', { auth: { ...oauth, endpoints: undefined } }, 'spec.auth.endpoints: is missing: set it, or `issuer`'],
    [
      'a client without its secret',
      { auth: { ...oauth, clientSecret: undefined } },
      'spec.auth.clientSecret: is missing, and clientAuthentication is post: set the secret, or clientAuthentication: none for a public client',
    ],
    [
      'a client that proves itself by a certificate that it does not have',
      { auth: { ...oauth, clientSecret: undefined, clientAuthentication: 'tls' } },
      'spec.auth.clientAuthentication: is tls, which needs `kind: mtls` with this credential as its `and`',
    ],
    [
      'a parameter that the grant sets',
      { auth: { ...oauth, tokenParameters: { grant_type: 'password' } } },
      'spec.auth.tokenParameters.grant_type: is a parameter that Millrace sets itself: leave it out',
    ],
    [
      'an unknown grant',
      { auth: { ...oauth, grant: 'password' } },
      'spec.auth.grant: must be one of authorizationCode, clientCredentials, jwtBearer',
    ],
    [
      'a key of a statement that is none',
      { auth: { ...oauth, grant: 'jwtBearer', jwt: { privateKey: { value }, subject: 's' } } },
      'spec.auth.jwt.privateKey: cannot be read as a private key in PEM without a passphrase',
    ],
  ])('with %s is refused, with the field and the remedy', async (_, spec, problem) => {
    expect(await problemsOf(spec)).toEqual([problem]);
  });

  test('has secrets that are sealed wherever they stand', () => {
    expect(canHoldSecrets('Connection')).toBe(true);
    const read = readDocument(documentOf({ auth: { ...mtls, and: { kind: 'bearer', token: { value } } } }));
    if ('problems' in read) throw new Error(JSON.stringify(read.problems));
    const paths: string[] = [];
    const sealed = mapSecrets(read.document as ConnectionDocument, (_, path) => {
      paths.push(path.join('.'));
      return { sealed: 's', fingerprint: 'f' };
    });
    expect(paths).toEqual(['spec.auth.key', 'spec.auth.and.token']);
    expect(JSON.stringify(sealed)).not.toContain('PRIVATE KEY');
  });

  test('with a certificate that ends in a century is no doubt', () => {
    const read = readDocument(documentOf({ auth: mtls }));
    if ('problems' in read) throw new Error(JSON.stringify(read.problems));
    expect(doubtsAbout(read.document)).toEqual([]);
  });
});
