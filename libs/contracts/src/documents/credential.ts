import { z } from 'zod';
import { secret } from './secret.js';
import type { Secret } from './secret.js';

/** Names of headers and query parameters whose values are credentials. */
const credentialName = /auth|bearer|cookie|credential|jwt|key|passw|pwd|secret|session|sig|token|^code$/i;
const authScheme = /^(?:basic|bearer|digest|apikey|token|negotiate)\s/i;
const uuid = /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/i;

/** True for a text with a run of letters and digits that looks like chance, as tokens and ids do. */
function hasToken(text: string): boolean {
  const runs = text.match(/[A-Za-z0-9]{16,}/g) ?? [];
  const isMixed = (run: string): boolean => /\d/.test(run) && /[A-Za-z]/.test(run);
  const isMixedCase = (run: string): boolean => run.length >= 20 && /[a-z]/.test(run) && /[a-z][A-Z]/.test(run);
  return uuid.test(text) || runs.some((run) => isMixed(run) || isMixedCase(run));
}

/** True if the header's value is a credential, as far as its name and form tell. */
export function isCredentialHeader(name: string, value: string): boolean {
  return credentialName.test(name) || authScheme.test(value) || hasToken(value);
}

/**
 * True if the address carries a credential, as far as its form tells: a user, a password, a parameter such as `api_key`, or a token in its path
 * or query, as the addresses of incoming webhooks do.
 */
export function isCredentialUrl(address: string): boolean {
  const { username, password, pathname, searchParams } = new URL(address);
  if (username !== '' || password !== '' || hasToken(decoded(pathname))) return true;
  return [...searchParams].some(([name, value]) => value !== '' && (credentialName.test(name) || hasToken(value)));
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

// eslint-disable-next-line no-control-regex
const visible = /^[^\u0000-\u001f\u007f-\uffff]*$/;
const mustBeVisible = 'must be visible ASCII characters';

/** A part of the value of a header. */
export const headerText = z.string().max(8_192).regex(visible, mustBeVisible);

/** A secret that is sent in a header. */
export const headerSecret = secret.refine((given) => !('value' in given) || visible.test(given.value), mustBeVisible);

/** Headers that a credential cannot be: they say where a message ends, or belong to the connection. */
const framing = /^(host|connection|keep-alive|upgrade|expect|te|trailer|transfer-encoding|content-(length|type|encoding))$/i;

/** The name of a header that carries a credential. */
export const credentialHeader = z
  .string()
  .max(200)
  .regex(/^[A-Za-z0-9-]+$/, 'is no name for a header: it must be letters, digits and dashes')
  .refine((header) => !framing.test(header), 'is a header that belongs to the message or to its connection, and can carry no credential');

/** Text that may be a secret: plain, as it is written, or `{ value: … }`, which is encrypted. The text has to fit `text` in both forms. */
export function textOrSecret(text: z.ZodType<string, string>) {
  const fits = (given: Secret): boolean => !('value' in given) || text.safeParse(given.value).success;
  return z.union([text, secret.refine(fits, 'is a secret of a form that does not belong here')]);
}

const asSecret = (value: string): Secret => ({ value });

/** An http or https address. One that carries a credential becomes a secret, also if it was written as text. */
export const addressOrSecret = textOrSecret(z.url({ protocol: /^https?$/, error: 'must be an http or https address' })).transform(
  (given): string | Secret => (typeof given === 'string' && isCredentialUrl(given) ? asSecret(given) : given),
);

/** The most headers of one destination. */
const maxHeaders = 50;

/** Refuses an object with too many members before any of them is checked: each problem takes time and a line. */
function refuseMany(given: unknown, context: z.RefinementCtx): unknown {
  if (typeof given !== 'object' || given === null || Object.keys(given).length <= maxHeaders) return given;
  context.addIssue({ code: 'custom', message: `must have at most ${maxHeaders} entries` });
  return z.NEVER;
}

/** Headers by name. A value that is a credential becomes a secret, also if it was written as text. */
export function headersOrSecrets(name: z.ZodType<string, string>) {
  return z
    .preprocess(refuseMany, z.record(name, textOrSecret(headerText)))
    .transform((headers): Record<string, string | Secret> =>
      Object.fromEntries(
        Object.entries(headers).map(([header, value]) => [
          header,
          typeof value === 'string' && isCredentialHeader(header, value) ? asSecret(value) : value,
        ]),
      ),
    );
}
