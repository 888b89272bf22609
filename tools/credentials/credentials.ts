import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** What the one-process form writes for those who knock at its doors (`credentials.json` of its data directory). */
export interface Credentials {
  url: string;
  tenant: string;
  apiKey: string;
  operatorKey: string;
  /** The signing secret of each sample source and destination, by name. */
  secrets: Record<string, string>;
}

/** Ends the process with a sentence where there are none to read. */
export function readCredentials(): Credentials {
  const path = join(process.env['MILLRACE_DIRECTORY'] || '.millrace', 'credentials.json');
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Credentials;
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    const reason = missing
      ? 'is not there. Start Millrace first, in another terminal: npm start'
      : `cannot be read: ${(error as Error).message}`;
    console.error(`${path} ${reason}`);
    return process.exit(1);
  }
}
