import { readFileSync } from 'node:fs';
import { findPackageJSON } from 'node:module';
import { parseStoredJson } from '#libs/json';

/** The version of Millrace that runs, from the `package.json` above this file. */
export function releaseVersion(): string {
  const { version } = parseStoredJson(readFileSync(findPackageJSON(import.meta.url)!, 'utf8')) as { version: string };
  return version;
}
