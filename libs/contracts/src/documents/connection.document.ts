import { z } from 'zod';
import { json } from '../json.js';
import { name } from '../names.js';
import { connectionAuth } from './connection-auth.js';
import type { ConnectionAuth } from './connection-auth.js';
import { documentOf } from './document-of.js';

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
    connector: name.describe(
      'The connector that knows the system: one that Millrace brings along (docs/connectors.md), or a Connector document of the tenant.',
    ),
    settings: z
      .record(z.string().max(100), json)
      .default({})
      .describe('The settings that the connector asks for, such as `base`, the address of `rest` and `graphql`.'),
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
  .superRefine(({ auth }, context) => {
    for (const [path, message] of problemsOfAuth(auth)) context.addIssue({ code: 'custom', path: ['auth', ...path], message });
  });
export type ConnectionSpec = z.infer<typeof connectionSpec>;

export const connectionDocument = documentOf(
  'Connection',
  connectionSpec.describe('Which system it is, and the credential for it.'),
  'A tenant’s credentials for one system. Tokens that the system gives are kept outside of the document.',
);
export type ConnectionDocument = z.infer<typeof connectionDocument>;
