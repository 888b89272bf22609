import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { name } from '#libs/contracts';
import { CliFailure } from './failure.js';

/** The address of Millrace and the credentials for it. */
export interface Connection {
  url: string;
  key: string;
  /** The option, variable or file that the key came from, for messages. */
  keyFrom: string;
  /** Sent with an operator's key, which has no tenant of its own. */
  tenant: string | undefined;
  /** The option, variable or file that the tenant came from, for messages. */
  tenantFrom: string;
  /** The address that the credentials file names, where nobody named one and the key is not from the file. */
  notFrom?: Given | undefined;
}

export interface ConnectionOptions {
  url?: string;
  key?: string;
  tenant?: string;
}

export const defaultUrl = 'http://127.0.0.1:8080';
/** The one-process form writes it at its start, to the folder of its data: `.millrace`, or MILLRACE_DIRECTORY. */
export const credentialsFile = join('.millrace', 'credentials.json');

const credentials = z.object({
  url: z.url(),
  tenant: z.string(),
  apiKey: z.string(),
  operatorKey: z.string().optional(),
  secrets: z.record(z.string(), z.string()).optional(),
  systems: z.object({ port: z.int(), mailPort: z.int() }).optional(),
});

/** A value, and the option, variable or file that it came from. */
interface Given {
  value: string;
  from: string;
}

/**
 * Options take precedence over the environment, and both over the credentials file of the directory. The file is read only where no key is given: a
 * key that was given is never sent to an address that some folder names. The keys of the file are sent to the address of the file only.
 * @param door `query` takes the operator's key, `events` takes only keys of tenants
 * @throws CliFailure if there is no key, or a value cannot be used
 */
export function connectionOf(
  options: ConnectionOptions,
  { environment, directory, door }: { environment: NodeJS.ProcessEnv; directory: string; door: 'query' | 'events' },
): Connection {
  const given = (option: keyof ConnectionOptions, variable: string): Given | undefined => {
    const [value, from] = options[option] === undefined ? [environment[variable], variable] : [options[option], `--${option}`];
    if (value === '' && from !== variable) throw new CliFailure(`${from} is empty`, 'unusable');
    return value === undefined || value === '' ? undefined : { value, from };
  };
  const givenUrl = given('url', 'MILLRACE_URL');
  const url = givenUrl === undefined ? undefined : addressIn(givenUrl);
  const key = given('key', 'MILLRACE_API_KEY');
  const tenant = given('tenant', 'MILLRACE_TENANT');
  const path = credentialsPath(environment);
  if (key !== undefined) {
    const notFrom = url === undefined ? otherAddress(resolve(directory, path), path) : undefined;
    return { ...checked({ url: url ?? defaultUrl, key, tenant }), notFrom };
  }
  const file = readCredentials(resolve(directory, path));
  if (file === undefined) {
    throw new CliFailure(
      `No API key: give --key, set MILLRACE_API_KEY, or run this where ${path} is (npm start writes it to its folder, which MILLRACE_DIRECTORY names)`,
      'unusable',
    );
  }
  const fileUrl = addressIn({ value: file.url, from: `url in ${path}` });
  if (url !== undefined && url !== fileUrl) {
    const remedy = `give a key for ${url} by --key or MILLRACE_API_KEY`;
    throw new CliFailure(
      `The keys in ${path} are for ${fileUrl}, and are not sent to ${url}, which ${givenUrl!.from} names: ${remedy}`,
      'unusable',
    );
  }
  return checked({
    url: fileUrl,
    key: { value: door === 'query' ? (file.operatorKey ?? file.apiKey) : file.apiKey, from: path },
    tenant: tenant ?? { value: file.tenant, from: path },
  });
}

/** The address in a credentials file, for a hint. Undefined if that is the default one, or there is none that can be read. */
function otherAddress(file: string, from: string): Given | undefined {
  try {
    const value = readCredentials(file)?.url;
    return value === undefined || value === defaultUrl ? undefined : { value, from };
  } catch {
    return undefined; // nothing is taken from the file
  }
}

/** The address that was perhaps meant. A key that was given is not sent to an address that only a folder names. */
export function hintAt({ notFrom }: Connection): string {
  return notFrom === undefined ? '' : `; ${notFrom.from} is for ${notFrom.value}: if that is meant, give it by --url`;
}

/** The origin that an address names. Refuses parts that would be ignored, without repeating a password. @throws CliFailure */
function addressIn({ value, from }: Given): string {
  const form = 'an address such as http://127.0.0.1:8080';
  if (!/^https?:\/\//i.test(value) || !URL.canParse(value)) throw new CliFailure(`${from} must be ${form}; it is '${value}'`, 'unusable');
  const { origin, username, password, pathname, search, hash } = new URL(value);
  if (username !== '' || password !== '') throw new CliFailure(`${from} must be ${form}, without a user or password`, 'unusable');
  const beyond = pathname.slice(1) + search + hash;
  if (beyond !== '')
    throw new CliFailure(
      `${from} must be ${form}, without a path: Millrace is at the root of its address. Leave out '/${beyond}'`,
      'unusable',
    );
  return origin;
}

/** Refuses values that cannot be sent, without repeating the key. */
function checked({ url, key, tenant }: { url: string; key: Given; tenant: Given | undefined }): Connection {
  if (!/^[\u0021-\u007e]+$/.test(key.value)) {
    throw new CliFailure(`The key from ${key.from} has spaces, line breaks or other characters that no key has`, 'unusable');
  }
  if (tenant !== undefined && !name.safeParse(tenant.value).success)
    throw new CliFailure(tenantUnusable(tenant.value, tenant.from), 'unusable');
  return { url, key: key.value, keyFrom: key.from, tenant: tenant?.value, tenantFrom: tenant?.from ?? '--tenant' };
}

function tenantUnusable(value: string, from: string): string {
  return `${from} must be 1 to 63 lower-case letters, digits or inner dashes; it is '${value}'`;
}

/** The same connection with an operator's key, in another tenant. @throws CliFailure if no tenant can have the name */
export function inTenant(connection: Connection, tenant: string): Connection {
  if (!name.safeParse(tenant).success) throw new CliFailure(tenantUnusable(tenant, 'The name of a tenant'), 'unusable');
  return { ...connection, tenant, tenantFrom: 'the name' };
}

/** The one-process form whose data the directory has: its address, its tenant, and its sample systems with the token for them. */
export interface OneProcessForm {
  url: string;
  tenant: string;
  /** Undefined if it was last started by a release that has none. */
  systems: { url: string; token: string; mailPort: number } | undefined;
}

/** Undefined if the directory has no credentials file. @throws CliFailure if it cannot be read */
export function oneProcessFormOf(environment: NodeJS.ProcessEnv, directory: string): OneProcessForm | undefined {
  const file = readCredentials(resolve(directory, credentialsPath(environment)));
  if (file === undefined) return undefined;
  const { url, tenant, secrets: { systems: token } = {}, systems: ports } = file;
  const isThere = ports !== undefined && token !== undefined;
  return { url, tenant, systems: isThere ? { url: `http://127.0.0.1:${ports.port}`, token, mailPort: ports.mailPort } : undefined };
}

function credentialsPath(environment: NodeJS.ProcessEnv): string {
  return environment['MILLRACE_DIRECTORY'] ? join(environment['MILLRACE_DIRECTORY'], 'credentials.json') : credentialsFile;
}

function readCredentials(path: string): z.infer<typeof credentials> | undefined {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw new CliFailure(`${path} cannot be read: ${message}`, 'unusable');
  }
  try {
    return credentials.parse(JSON.parse(text));
  } catch (error) {
    throw new CliFailure(`${path} cannot be read: ${(error as Error).message}`, 'unusable');
  }
}
