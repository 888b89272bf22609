import type { AuthOf } from '#libs/contracts';
import { mapLosslessNumbers, parseJson } from '#libs/json';

export type OAuth = AuthOf<'oauth2'>;

/** An answer of a token endpoint, as RFC 6749 has it. */
export interface TokenAnswer {
  readonly status: number;
  /** Undefined if it is no object. */
  readonly fields: Readonly<Record<string, unknown>> | undefined;
  /** The code of the failure, if the answer names one. */
  readonly error: string | undefined;
}

/** Reads an answer by the rules of the document, because vendors deviate from RFC 6749 in where they say what. */
export function readTokenAnswer(status: number, contentType: string, body: string, rules: OAuth['tokenResponse']): TokenAnswer {
  const given = fieldsOf(contentType, body);
  if (given === undefined) return { status, fields: undefined, error: undefined };
  const code = errorOf(given, rules);
  if (code !== undefined) {
    const error = rules.invalidGrant.includes(code) ? 'invalid_grant' : code;
    return { status: status >= 400 ? status : 400, fields: { ...given, error }, error };
  }
  return { status, fields: status >= 200 && status < 300 ? withType(given, rules) : given, error: undefined };
}

function errorOf(fields: Readonly<Record<string, unknown>>, rules: OAuth['tokenResponse']): string | undefined {
  const code = fields[rules.errorField];
  const named = typeof code === 'string' && code !== '' ? code : undefined;
  if (rules.failedWhen !== undefined && fields[rules.failedWhen.field] === rules.failedWhen.equals) return named ?? 'unnamed_failure';
  return typeof fields['access_token'] === 'string' ? undefined : named; // GitHub answers 200 with an error
}

function withType(fields: Readonly<Record<string, unknown>>, { tokenType }: OAuth['tokenResponse']): Record<string, unknown> {
  const { token_type: given = 'bearer', scope, ...rest } = fields; // Shopify names no type
  return { ...rest, token_type: tokenType ?? given, ...(typeof scope === 'string' ? { scope } : {}) };
}

function fieldsOf(contentType: string, body: string): Record<string, unknown> | undefined {
  if (/^application\/x-www-form-urlencoded\b/i.test(contentType)) return Object.fromEntries(new URLSearchParams(body));
  try {
    const parsed: unknown = mapLosslessNumbers(parseJson(body), String);
    return typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed) ? (parsed as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

const longestKeptValue = 1_000;

/** The fields that name the account, by the names that the document keeps. A name may lead inwards by dots, such as `team.id`. */
export function accountOf(fields: Readonly<Record<string, unknown>>, keep: readonly string[]): Record<string, string> {
  const found = keep.map((name) => [name, valueAt(fields, name)] as const);
  return Object.fromEntries(found.filter((entry): entry is [string, string] => entry[1] !== undefined));
}

function valueAt(fields: Readonly<Record<string, unknown>>, name: string): string | undefined {
  let value: unknown = Object.hasOwn(fields, name) ? fields[name] : undefined;
  if (value === undefined) {
    value = fields;
    for (const part of name.split('.')) {
      if (typeof value !== 'object' || value === null || !Object.hasOwn(value, part)) return undefined;
      value = (value as Record<string, unknown>)[part];
    }
  }
  if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'boolean') return undefined;
  return String(value).slice(0, longestKeptValue);
}
