import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { platform } from 'node:os';
import { promisify } from 'node:util';

/** A way to start a program of Postgres, which refuses to run as root. */
export interface Runner {
  /** The user that the data folder must belong to; undefined: the user of this process. */
  readonly owner: User | undefined;
  command(program: string, args: readonly string[]): [file: string, args: string[]];
}

interface User {
  uid: number;
  gid: number;
}

const execute = promisify(execFile);
const nobody: User = { uid: 65_534, gid: 65_534 };
/** Linux only: the kernel asks the program for a fast shutdown when its parent is gone, for whatever reason. */
const endWithParent = ['--pdeathsig', 'INT'];

/**
 * Finds a way to start Postgres. A plain user starts it directly. For root there are two ways, and the first that works on this machine is used:
 * - `setpriv`: as the user `postgres`, or `nobody`. It may traverse folders that it may not list, because a checkout is often below a folder that
 *   only root may enter (`/root`, `mktemp -d`).
 * - `unshare`: in a user namespace in which root's files belong to an ordinary user.
 * @throws Error with the remedy when root has neither
 */
export async function findRunner(program: string): Promise<Runner> {
  const isRoot = process.geteuid?.() === 0;
  const candidates = isRoot ? [asUser(await findUser()), inNamespace] : [tiedToParent, plain];
  const refusals: string[] = [];
  for (const runner of candidates) {
    const refusal = await refusalOf(runner, program);
    if (refusal === undefined) return runner;
    refusals.push(refusal);
  }
  throw new Error(
    (isRoot
      ? 'Postgres refuses to run as root, and this machine does not let root start it as somebody else. Run this command as a plain user'
      : 'The installed Postgres does not start. Run `npm install` again') +
      `, or run Postgres yourself and set DATABASE_URL. Tried:\n${refusals.map((refusal) => `  ${refusal}`).join('\n')}`,
  );
}

const plain: Runner = { owner: undefined, command: (program, args) => [program, [...args]] };

const tiedToParent: Runner = { owner: undefined, command: (program, args) => ['setpriv', [...endWithParent, program, ...args]] };

/** The one capability that the user keeps: to traverse folders that it may not enter. */
const keepPassage = ['--inh-caps=+dac_override', '--ambient-caps=+dac_override', '--securebits=+no_setuid_fixup'];

const asUser = (user: User): Runner => ({
  owner: user,
  command: (program, args) => [
    'setpriv',
    [`--reuid=${user.uid}`, `--regid=${user.gid}`, '--clear-groups', ...keepPassage, ...endWithParent, program, ...args],
  ],
});

const inNamespace: Runner = {
  owner: { uid: 0, gid: 0 },
  command: (program, args) => [
    'unshare',
    ['--user', `--map-user=${nobody.uid}`, `--map-group=${nobody.gid}`, 'setpriv', ...endWithParent, program, ...args],
  ],
};

/** Undefined where the program starts this way, else why not. */
async function refusalOf(runner: Runner, program: string): Promise<string | undefined> {
  const [file, args] = runner.command(program, ['--version']);
  try {
    await execute(file, args);
    return undefined;
  } catch (error) {
    return (error as Error).message.trim();
  }
}

async function findUser(): Promise<User> {
  const users = platform() === 'linux' ? await readFile('/etc/passwd', 'utf8').catch(() => '') : '';
  const [, uid, gid] = /^postgres:[^:]*:(\d+):(\d+):/m.exec(users) ?? [];
  return uid === undefined || gid === undefined ? nobody : { uid: Number(uid), gid: Number(gid) };
}
