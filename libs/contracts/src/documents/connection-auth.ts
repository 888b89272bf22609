import { z } from 'zod';
import { authKinds } from './auths.generated.js';

const { mtls, ...headerKinds } = authKinds;

type HeaderKinds = typeof headerKinds;
type HeaderAuth = { [K in keyof HeaderKinds]: z.infer<HeaderKinds[K]> }[keyof HeaderKinds];

/** The word by which a connection says how its requests prove who sends them. */
export type AuthKind = keyof typeof authKinds;

const words = {
  error: (issue: z.core.$ZodRawIssue) =>
    issue.code === 'invalid_union' ? `must be one of ${Object.keys(authKinds).join(', ')}` : undefined,
};
const headerOptions = Object.values(headerKinds);
const headerAuth: z.ZodType<HeaderAuth> = z.discriminatedUnion('kind', headerOptions as [(typeof headerOptions)[number]]);

const mtlsAuth = mtls.extend({
  and: headerAuth
    .optional()
    .describe(
      'A further credential that requests carry, of any other kind. With `oauth2` the token endpoint is asked with the certificate too.',
    ),
});

export type ConnectionAuth = HeaderAuth | z.infer<typeof mtlsAuth>;
export type AuthOf<K extends AuthKind> = Extract<ConnectionAuth, { kind: K }>;

/** How requests of a connection prove who sends them. A kind is declared in `auths/<kind>.auth.ts`. */
export const connectionAuth: z.ZodType<ConnectionAuth> = z.discriminatedUnion(
  'kind',
  [...headerOptions, mtlsAuth] as [(typeof headerOptions)[number], typeof mtlsAuth],
  words,
);
