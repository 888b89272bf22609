import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The process of the embedded Postgres of a folder; its children serve the connections. The first line of the pid file names it. */
export function postgresPid(directory: string): number {
  return Number(readFileSync(join(directory, 'data', 'postmaster.pid'), 'utf8').split('\n')[0]);
}
