import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { CliFailure } from './failure.js';

/** The address of Millrace and the credentials for it. */
export interface Connection {
  url: string;
  key: string;
  /** Sent with an operator's key, which has no tenant of its own. */
  tenant: string | undefined;
}

export interface ConnectionOptions {
  url?: string;
  key?: string;
  tenant?: string;
}

export const defaultUrl = 'http://127.0.0.1:8080';
/** The one-process form writes it at its start. */
export const credentialsFile = join('.millrace', 'credentials.json');

const credentials = z.object({ url: z.url(), tenant: z.string(), apiKey: z.string(), operatorKey: z.string().optional() });

/**
 * Options take precedence over the environment, and both over the credentials file of the directory.
 * @throws CliFailure if there is no key
 */
export function connectionOf(options: ConnectionOptions, environment: NodeJS.ProcessEnv, directory: string): Connection {
  const url = options.url ?? environment['MILLRACE_URL'];
  const key = options.key ?? environment['MILLRACE_API_KEY'];
  const tenant = options.tenant ?? environment['MILLRACE_TENANT'];
  if (key !== undefined) return { url: checked(url ?? defaultUrl), key, tenant };
  const file = readCredentials(join(directory, credentialsFile));
  if (file === undefined) {
    throw new CliFailure(
      `No API key: give --key, set MILLRACE_API_KEY, or run this where ${credentialsFile} is (npm start writes it)`,
      'unusable',
    );
  }
  return { url: checked(url ?? file.url), key: file.operatorKey ?? file.apiKey, tenant: tenant ?? file.tenant };
}

function checked(url: string): string {
  if (!/^https?:/.test(url) || !URL.canParse(url))
    throw new CliFailure(`The address must start with http:// or https://; it is '${url}'`, 'unusable');
  return url;
}

function readCredentials(path: string): z.infer<typeof credentials> | undefined {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
  try {
    return credentials.parse(JSON.parse(text));
  } catch (error) {
    throw new CliFailure(`${path} cannot be read: ${(error as Error).message}`, 'unusable');
  }
}
