import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { SampleCredentials } from '#apps/standalone';

/** Reads the `credentials.json` of the one-process form. Prints the reason and ends the process if that is not possible. */
export function readCredentials(): SampleCredentials {
  const path = join(process.env['MILLRACE_DIRECTORY'] || '.millrace', 'credentials.json');
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as SampleCredentials;
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    const reason = missing
      ? 'is not there. Start Millrace first, in another terminal: npm start'
      : `cannot be read: ${(error as Error).message}`;
    console.error(`${path} ${reason}`);
    return process.exit(1);
  }
}
