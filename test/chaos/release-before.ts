import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';

/**
 * The commit that stands for the release before, as long as there is no release: the last one without the migration `Pulls`. A maintainer who
 * adds a migration, or changes a record, moves it to the commit before.
 */
export const defaultBefore = '7d4b6f4';

const folder = '.cache/releases';
const buildDeadlineMs = 600_000;

/** The revision cannot be built here. */
export class ReleaseMissing extends Error {}

/**
 * Builds a revision with its own build into a folder that is kept, and resolves with that folder.
 * @throws ReleaseMissing if this checkout has no such commit, as a shallow clone has not
 */
export async function buildRelease(revision: string, tell: (line: string) => void): Promise<string> {
  const commit = await commitOf(revision);
  const root = resolve(folder, commit);
  if (existsSync(join(root, 'dist', '.built'))) return root;
  tell(`the release before, ${revision}, is built`);
  const draft = `${root}.new`;
  rmSync(draft, { recursive: true, force: true });
  mkdirSync(draft, { recursive: true });
  await extract(commit, draft);
  if (readFileSync(join(draft, 'package-lock.json'), 'utf8') === readFileSync('package-lock.json', 'utf8'))
    symlinkSync(resolve('node_modules'), join(draft, 'node_modules'));
  else await run('npm', ['ci', '--no-audit', '--no-fund'], draft);
  await run(process.execPath, ['tools/build/build.mjs'], draft);
  renameSync(draft, root);
  return root;
}

/** Copies the built code, so that it can run from the folder of a run. */
export function copyRelease(root: string, to: string): string {
  mkdirSync(to);
  for (const part of ['dist', 'package.json']) cpSync(join(root, part), join(to, part), { recursive: true });
  symlinkSync(join(root, 'node_modules'), join(to, 'node_modules'));
  return to;
}

async function commitOf(revision: string): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)('git', ['rev-parse', '--verify', '--quiet', `${revision}^{commit}`]);
    return stdout.trim();
  } catch (cause) {
    throw new ReleaseMissing(
      `There is no commit ${revision} in this checkout; a shallow clone has none of the past: git fetch --unshallow`,
      { cause },
    );
  }
}

async function extract(commit: string, into: string): Promise<void> {
  const archive = spawn('git', ['archive', commit], { stdio: ['ignore', 'pipe', 'inherit'] });
  const tar = spawn('tar', ['-x', '-C', into], { stdio: [archive.stdout, 'inherit', 'inherit'] });
  const ends = (await Promise.all([once(archive, 'exit'), once(tar, 'exit')])) as [status: number | null][];
  if (ends.some(([status]) => status !== 0)) throw new Error(`${commit} could not be extracted into ${into}`);
}

async function run(program: string, args: readonly string[], directory: string): Promise<void> {
  await promisify(execFile)(program, args, { cwd: directory, timeout: buildDeadlineMs, maxBuffer: 64 * 1_048_576 });
}
