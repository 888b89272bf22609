import { z } from 'zod';
import { json } from '../json.js';
import { connectionAuth } from './connection-auth.js';
import type { ConnectionAuth } from './connection-auth.js';
import { documentOf } from './document-of.js';

/** The settings of each built-in connector. */
const connectorSettings = {
  rest: z.strictObject({ base: baseAddress() }),
  graphql: z.strictObject({ base: baseAddress() }),
} as const;

export const builtInConnectors = Object.keys(connectorSettings);

function baseAddress() {
  return z
    .url({ protocol: /^https?$/, error: 'must be an http or https address' })
    .refine(
      (address) => !URL.canParse(address) || isBare(new URL(address)),
      'must have no user, password, query or fragment: credentials belong in `auth`',
    )
    .describe('The address that the paths of operations are added to.');
}

function isBare({ username, password, search, hash }: URL): boolean {
  return username === '' && password === '' && search === '' && hash === '';
}

/** Problems of fields of a credential that do not go together. */
function problemsOfAuth(auth: ConnectionAuth): [path: string[], message: string][] {
  if (auth.kind === 'mtls')
    return auth.and === undefined ? [] : problemsOfClient(auth.and, true).map(([path, message]) => [['and', ...path], message]);
  return problemsOfClient(auth, false);
}

function problemsOfClient(auth: ConnectionAuth, hasCertificate: boolean): [path: string[], message: string][] {
  if (auth.kind !== 'oauth2') return [];
  const { issuer, endpoints, clientAuthentication: by, clientSecret } = auth;
  const found: [string[], string][] = [];
  if (issuer === undefined && endpoints === undefined) found.push([['endpoints'], 'is missing: set it, or `issuer`']);
  if ((by === 'post' || by === 'basic') && clientSecret === undefined) {
    found.push([
      ['clientSecret'],
      `is missing, and clientAuthentication is ${by}: set the secret, or clientAuthentication: none for a public client`,
    ]);
  }
  if (by === 'tls' && !hasCertificate)
    found.push([['clientAuthentication'], 'is tls, which needs `kind: mtls` with this credential as its `and`']);
  return found;
}

export const connectionSpec = z
  .strictObject({
    connector: z.string().min(1).max(63).describe('The connector that knows the system: `rest` or `graphql`.'),
    settings: z
      .record(z.string().max(100), json)
      .default({})
      .describe('The settings of the connector. `rest` and `graphql` have one: `base`.'),
    auth: connectionAuth.describe('How requests prove who sends them.'),
    timeoutMs: z.int().min(100).max(60_000).default(10_000).describe('Deadline of one request in ms, including the time to connect.'),
    limit: z
      .strictObject({
        concurrency: z.int().min(1).max(1_000).default(16).describe('The most requests at the same time, for all processes together.'),
        perSecond: z
          .int()
          .min(1)
          .max(10_000)
          .optional()
          .describe('The most requests per second, for all processes together; default: unlimited.'),
      })
      .prefault({})
      .describe('Limits for requests of this connection.'),
  })
  .superRefine(({ connector, settings, auth }, context) => {
    const schema = Object.hasOwn(connectorSettings, connector) ? connectorSettings[connector as keyof typeof connectorSettings] : undefined;
    if (schema === undefined) {
      context.addIssue({ code: 'custom', path: ['connector'], message: `must be one of ${builtInConnectors.join(', ')}` });
      return;
    }
    const { error } = schema.safeParse(settings);
    for (const { path, message, ...issue } of error?.issues ?? []) context.addIssue({ ...issue, path: ['settings', ...path], message });
    for (const [path, message] of problemsOfAuth(auth)) context.addIssue({ code: 'custom', path: ['auth', ...path], message });
    const base = settings['base'];
    if (auth.kind === 'mtls' && typeof base === 'string' && base.startsWith('http:')) {
      context.addIssue({ code: 'custom', path: ['settings', 'base'], message: 'must begin with https: a client certificate needs TLS' });
    }
  });
export type ConnectionSpec = z.infer<typeof connectionSpec>;

export const connectionDocument = documentOf(
  'Connection',
  connectionSpec.describe('Which system it is, and the credential for it.'),
  'A tenant’s credentials for one system. Tokens that the system gives are kept outside of the document.',
);
export type ConnectionDocument = z.infer<typeof connectionDocument>;
