import { globSync, readFileSync } from 'node:fs';

/** The whole SDL: every `*.graphql` file of this app, each beside its resolver; the build copies them beside the compiled ones. */
export function readSdl(): string {
  const root = new URL('../', import.meta.url);
  const files = globSync('**/*.graphql', { cwd: root }).toSorted();
  return files.map((file) => readFileSync(new URL(file, root), 'utf8')).join('\n');
}
