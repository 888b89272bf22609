import { execFile, spawn } from 'node:child_process';
import type { ChildProcess, SpawnOptions } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { startTimer } from '#libs/time';

/** A program with its arguments. */
export type Command = readonly [program: string, args: readonly string[]];

const run = promisify(execFile);
const checkTimeoutMs = 20_000;
const stopDeadlineMs = 20_000;

/** Options of a command line, by name without its dashes. */
export type Flags = Readonly<Record<string, string | number | boolean>>;

/** Writes each as `--name=value`. */
export function flagsOf(flags: Flags): string[] {
  return Object.entries(flags).map(([name, value]) => `--${name}=${value}`);
}

/** Resolves with true if the program can be run and exits with 0. */
export async function succeeds(program: string, ...args: string[]): Promise<boolean> {
  return run(program, args, { timeout: checkTimeoutMs }).then(
    () => true,
    () => false,
  );
}

/** Runs a program to its end and shows what it prints. @throws Error if it fails */
export async function runToEnd(
  program: string,
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<void> {
  const child = spawn(program, args, { stdio: ['ignore', 'inherit', 'inherit'], env: { ...process.env, ...environment } });
  const [status] = (await once(child, 'exit')) as [number | null];
  if (status !== 0) throw new Error(`${program} ${args.slice(0, 2).join(' ')} failed`);
}

/** The command in a form that ends with its parent, even with one that is killed. Where the system cannot do that, the command as it is. */
export async function endsWithParent([program, args]: Command): Promise<Command> {
  const canTie = await succeeds('setpriv', '--pdeathsig', 'KILL', 'true');
  return canTie ? ['setpriv', ['--pdeathsig', 'KILL', program, ...args]] : [program, args];
}

/** A program of others that runs until it is ended. What it prints is added to a file. */
export class Program {
  private readonly child: ChildProcess;

  constructor(
    [program, args]: Command,
    private readonly logFile: string,
    options: Pick<SpawnOptions, 'cwd' | 'env'> = {},
  ) {
    const log = openSync(logFile, 'a');
    this.child = spawn(program, args, { ...options, stdio: ['ignore', log, log] });
    closeSync(log);
    this.child.on('error', () => undefined); // seen as an end; the log has nothing to say then
  }

  get pid(): number | undefined {
    return this.child.pid;
  }

  get hasEnded(): boolean {
    return this.child.pid === undefined || this.child.exitCode !== null || this.child.signalCode !== null;
  }

  /** The last 2 000 characters of what it and its forerunners printed into the file. */
  async printed(): Promise<string> {
    return (await readFile(this.logFile, 'utf8').catch(() => '')).slice(-2_000);
  }

  /** Sends SIGCONT too, because a stopped process would not see SIGTERM, and SIGKILL at a deadline. Does nothing if it has ended. */
  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    if (this.hasEnded) return;
    const exit = once(this.child, 'exit');
    this.child.kill(signal);
    this.child.kill('SIGCONT');
    const impatience = startTimer(() => this.child.kill('SIGKILL'), stopDeadlineMs);
    await exit;
    clearTimeout(impatience);
  }
}
