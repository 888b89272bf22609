import { isAddressRange } from '#libs/ports';
import { readFileSync } from 'node:fs';

/** One environment variable that a service reads. */
export interface Setting<T> {
  /** The name in the environment. */
  readonly env: string;
  /** One line for the generated reference. */
  readonly help: string;
  /** The value is never printed, not even in an error. `NAME_FILE` may name a file that holds it, so that it stands in no environment. */
  readonly secret: boolean;
  /** Default, as it would be written in the environment. Undefined: the setting is required. */
  readonly fallback: string | undefined;
  /** The form of a value, for the reference and for errors. */
  readonly shape: string;
  /** Parses the value. Throws an Error whose message completes the sentence "NAME …". */
  readonly read: (text: string) => T;
}

/** The settings of a service, by property name. */
export type SettingsTable = Readonly<Record<string, Setting<unknown>>>;
export type Settings<T extends SettingsTable> = { readonly [K in keyof T]: T[K] extends Setting<infer V> ? V : never };

interface Description {
  help: string;
  /** Default, as it would be written in the environment. Without it the setting is required. */
  fallback?: string;
  secret?: boolean;
}

const setting = <T>(env: string, description: Description, shape: string, read: (text: string) => T): Setting<T> => ({
  env,
  help: description.help,
  secret: description.secret ?? false,
  fallback: description.fallback,
  shape,
  read,
});

export function text(env: string, description: Description): Setting<string> {
  return setting(env, description, 'text', (value) => value);
}

/** Text; undefined if it is empty or not set. */
export function optionalText(env: string, description: Omit<Description, 'fallback'>): Setting<string | undefined> {
  return setting(env, { ...description, fallback: '' }, 'text, or empty', (value) => value || undefined);
}

/** The path of a file that this process may read; undefined if it is empty or not set. */
export function optionalFile(env: string, description: Omit<Description, 'fallback' | 'secret'>): Setting<string | undefined> {
  return setting(env, { ...description, fallback: '' }, 'path of a file, or empty', (value) => {
    if (value === '') return undefined;
    try {
      readFileSync(value);
    } catch (error) {
      throw new Error(`must be a file that can be read (${(error as NodeJS.ErrnoException).code})`, { cause: error });
    }
    return value;
  });
}

export function integer(env: string, range: { min: number; max: number }, description: Description): Setting<number> {
  return setting(env, description, `whole number, ${range.min} to ${range.max}`, (value) => {
    const number = Number(value);
    if (!/^-?\d+$/.test(value) || number < range.min || number > range.max) {
      throw new Error(`must be a whole number from ${range.min} to ${range.max}`);
    }
    return number;
  });
}

/** A whole number; undefined if it is empty or not set. */
export function optionalInteger(
  env: string,
  range: { min: number; max: number },
  description: Omit<Description, 'fallback'>,
): Setting<number | undefined> {
  const { shape, read } = integer(env, range, description);
  return setting(env, { ...description, fallback: '' }, `${shape}, or empty`, (value) => (value === '' ? undefined : read(value)));
}

export function flag(env: string, description: Description): Setting<boolean> {
  return setting(env, description, 'true or false', (value) => {
    if (value !== 'true' && value !== 'false') throw new Error('must be true or false');
    return value === 'true';
  });
}

export function oneOf<const V extends string>(env: string, values: readonly V[], description: Description): Setting<V> {
  return setting(env, description, values.join(', '), (value) => {
    const found = values.find((candidate) => candidate === value);
    if (found === undefined) throw new Error(`must be one of ${values.join(', ')}`);
    return found;
  });
}

export function url(env: string, protocols: readonly string[], description: Description): Setting<string> {
  return setting(env, description, `address (${protocols.join(', ')})`, (value) => {
    requireUrl(value, protocols, 'be an address that starts');
    const { username, password } = new URL(value);
    if (description.secret !== true && (username !== '' || password !== '')) throw new Error('must contain no user or password');
    return value;
  });
}

/** An address; undefined if it is empty or not set. */
export function optionalUrl(
  env: string,
  protocols: readonly string[],
  description: Omit<Description, 'fallback'>,
): Setting<string | undefined> {
  const one = url(env, protocols, description);
  return setting(env, { ...description, fallback: '' }, `${one.shape}, or empty`, (value) => (value === '' ? undefined : one.read(value)));
}

/** Addresses, separated by commas; none if it is empty or not set. */
export function urls(env: string, protocols: readonly string[], description: Omit<Description, 'fallback'>): Setting<readonly string[]> {
  return setting(env, { ...description, fallback: '' }, `addresses (${protocols.join(', ')}), comma-separated, or empty`, (value) => {
    const entries = entriesOf(value);
    for (const entry of entries) requireUrl(entry, protocols, 'be addresses that start');
    return entries;
  });
}

function requireUrl(value: string, protocols: readonly string[], form: string): void {
  const { protocol } = URL.parse(value) ?? { protocol: '' };
  if (protocols.includes(protocol.slice(0, -1))) return;
  throw new Error(`must ${form} with ${protocols.map((one) => `${one}://`).join(' or ')}`);
}

/** Origins of web pages (RFC 6454), separated by commas, or `*` for all; none if it is empty or not set. */
export function origins(env: string, description: Omit<Description, 'fallback'>): Setting<readonly string[]> {
  const shape = 'origins such as https://console.example, comma-separated, or *, or empty';
  return setting(env, { ...description, fallback: '' }, shape, (value) => {
    const entries = entriesOf(value);
    if (!entries.every((entry) => entry === '*' || URL.parse(entry)?.origin === entry)) {
      throw new Error('must be origins (scheme, host and port, without a path), comma-separated, or *');
    }
    return entries;
  });
}

/** IP addresses and ranges; none if it is empty. */
export function addressRanges(env: string, description: Omit<Description, 'fallback' | 'secret'>): Setting<readonly string[]> {
  const shape = 'IP addresses and ranges such as 10.0.0.0/8, comma-separated, or empty';
  return setting(env, { ...description, fallback: '' }, shape, (value) => {
    const entries = entriesOf(value);
    if (!entries.every(isAddressRange)) throw new Error('must be IP addresses and ranges such as 10.0.0.0/8, comma-separated');
    return entries;
  });
}

/** A key that callers send as a bearer token; undefined if it is empty or not set. One that can be guessed is refused. */
export function optionalBearerKey(env: string, description: Omit<Description, 'secret' | 'fallback'>): Setting<string | undefined> {
  const shape = 'at least 32 random characters without spaces, or empty';
  return setting(env, { ...description, secret: true, fallback: '' }, shape, (value) => {
    if (value === '') return undefined;
    const isSendable = /^[\x21-\x7e]{32,}$/.test(value);
    const isVaried = new Set(value).size >= 10 && !/change-?me|example|secret|password/i.test(value);
    if (!isSendable || !isVaried) throw new Error(`must be ${shape.replace(', or empty', '')} (make one with: openssl rand -hex 32)`);
    return value;
  });
}

/** A key of 32 bytes, written in base64. */
export function key(env: string, description: Omit<Description, 'secret'>): Setting<Buffer> {
  return setting(env, { ...description, secret: true }, '32 bytes in base64', readKey);
}

/** Keys of 32 bytes, written in base64 and separated by commas; none if it is empty or not set. */
export function keys(env: string, description: Omit<Description, 'secret' | 'fallback'>): Setting<readonly Buffer[]> {
  return setting(env, { ...description, secret: true, fallback: '' }, '32 bytes in base64 each, comma-separated, or empty', (value) =>
    value === '' ? [] : value.split(',').map(readKey),
  );
}

function readKey(value: string): Buffer {
  const bytes = Buffer.from(value.trim(), 'base64');
  if (bytes.length !== 32) throw new Error('must be 32 bytes in base64 (make one with: openssl rand -base64 32)');
  return bytes;
}

/** At least one entry, separated by commas. */
export function list(env: string, description: Description): Setting<readonly string[]> {
  return setting(env, description, 'comma-separated list', (value) => {
    const entries = entriesOf(value);
    if (entries.length === 0) throw new Error('must have at least one entry');
    return entries;
  });
}

function entriesOf(value: string): string[] {
  return value
    .split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '');
}

/** All problems of a service's environment together, so that one failed start shows everything to correct. */
export class SettingsInvalid extends Error {
  constructor(
    readonly service: string,
    readonly problems: readonly string[],
  ) {
    super(
      `${service} cannot start, ${problems.length === 1 ? 'one setting is' : `${problems.length} settings are`} wrong:\n${problems.map((problem) => `  ${problem}`).join('\n')}`,
    );
    this.name = 'SettingsInvalid';
  }
}

/**
 * Reads the settings of a table from an environment. A variable that is set but empty counts as not set. A secret may stand in the file that
 * `NAME_FILE` names, as mounted secrets of Kubernetes and Docker do; one line break at its end is left out.
 * @throws SettingsInvalid with all problems together
 */
export function readSettings<T extends SettingsTable>(
  service: string,
  table: T,
  environment: Readonly<Record<string, string | undefined>>,
): Settings<T> {
  const problems: string[] = [];
  const values: Record<string, unknown> = {};
  for (const [property, one] of Object.entries(table)) {
    let given: string | undefined;
    try {
      given = (one.secret ? secretOf(one.env, environment) : environment[one.env]) || one.fallback;
    } catch (error) {
      problems.push((error as Error).message);
      continue;
    }
    if (given === undefined) {
      problems.push(`${one.env} is not set (${one.shape}): ${one.help}`);
      continue;
    }
    try {
      values[property] = one.read(given);
    } catch (error) {
      problems.push(
        `${one.env} ${error instanceof Error ? error.message : String(error)}${one.secret ? '' : `; it is '${withoutPassword(given)}'`}`,
      );
    }
  }
  if (problems.length > 0) throw new SettingsInvalid(service, problems);
  return Object.freeze(values) as Settings<T>;
}

/** @throws Error with the whole problem */
function secretOf(name: string, environment: Readonly<Record<string, string | undefined>>): string | undefined {
  const file = environment[fileVariable(name)];
  if (!file) return environment[name];
  if (environment[name]) throw new Error(`${name} and ${fileVariable(name)} are both set; keep one of them`);
  try {
    return readFileSync(file, 'utf8').replace(/\r?\n$/, '');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new Error(`${fileVariable(name)} names a file that cannot be read (${code}): ${file}`, { cause: error });
  }
}

/** The variable that names the file of a secret. */
export function fileVariable(name: string): string {
  return `${name}_FILE`;
}

/** An address may carry a password although its setting is not one of the secret ones. */
function withoutPassword(given: string): string {
  return given.replace(/\/\/[^/\s]*@/g, '//…@');
}
