import { spawn } from 'node:child_process';
import type { ChildProcess, ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { waitFor } from '#libs/testing';

const alive = new Set<ChildProcess>();
// A child would outlive a parent that is interrupted, such as a bench.
process.on('exit', () => {
  for (const child of alive) child.kill('SIGKILL');
});

/** A service as an operator runs it: the compiled code in a process of its own, configured by its environment. */
export class ServiceProcess {
  private child: ChildProcess | undefined;
  private output = '';

  constructor(
    readonly service: string,
    readonly port: number,
    private readonly environment: Record<string, string>,
    /** Resolves with whether it is ready; default: its `/readyz`. */
    private readonly probe: (port: number) => Promise<boolean> = answersReady,
    /** The folder whose `dist` it runs. Another one counts from the next launch on. */
    public root: string = process.cwd(),
  ) {}

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Starts it and waits until it is ready. */
  async start(): Promise<void> {
    this.launch();
    await this.ready();
  }

  /** Waits until it is ready. @throws Error with its output if it ends before */
  async ready(): Promise<void> {
    const child = this.child!;
    await waitFor(async () => hasEnded(child) || (await this.probe(this.port)), {
      deadlineMs: 60_000,
      what: `${this.service} to be ready`,
    }).catch((error: unknown) => {
      throw new Error(`${this.service} is not ready\n${this.tail()}`, { cause: error });
    });
    if (hasEnded(child)) throw new Error(`${this.service} ended while it started\n${this.tail()}`);
  }

  /** Starts it without waiting until it is ready. */
  launch(): ChildProcess {
    const environment = { PORT: String(this.port), ...this.environment };
    const child = this.spawn(environment);
    this.child = child;
    alive.add(child);
    child.once('exit', () => alive.delete(child));
    const collect = (chunk: Buffer): void => {
      this.output = (this.output + chunk.toString('utf8')).slice(-200_000);
    };
    child.stdout.on('data', collect);
    child.stderr.on('data', collect);
    return child;
  }

  /** Undefined while it does not run. */
  get pid(): number | undefined {
    return this.child?.pid;
  }

  /** Sends SIGTERM, as Kubernetes does. Resolves with the exit code. */
  async stop(): Promise<number | null> {
    return this.end('SIGTERM');
  }

  /** Sends SIGKILL. */
  async kill(): Promise<void> {
    await this.end('SIGKILL');
  }

  /** Sends SIGSTOP. */
  pause(): void {
    this.child?.kill('SIGSTOP');
  }

  /** Sends SIGCONT after {@link pause}. */
  resume(): void {
    this.child?.kill('SIGCONT');
  }

  /** The last lines of its output, for the message of a failed test. */
  tail(lines = 40): string {
    return `--- ${this.service}\n${this.output.split('\n').slice(-lines).join('\n')}`;
  }

  /** Starts its program in this environment. */
  protected spawn(environment: Readonly<Record<string, string>>): ChildProcessByStdio<null, Readable, Readable> {
    const { PATH = '', HOME = '' } = process.env;
    return spawn(process.execPath, [...nodeOptions(this.root, this.service), `dist/apps/${this.service}/src/main.js`], {
      cwd: this.root,
      env: { PATH, HOME, ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  }

  private async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<number | null> {
    const child = this.child;
    if (child === undefined) return null;
    this.child = undefined;
    if (!hasEnded(child)) {
      const exit = once(child, 'exit');
      child.kill(signal);
      await exit;
    }
    return child.exitCode;
  }
}

/** The options with which `npm run start:…` of a checkout starts Node for a service. */
export function nodeOptions(root: string, service: string): string[] {
  const { config, scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as PackageJson;
  const script = scripts[service === 'standalone' ? 'start' : `start:${service}`] ?? '';
  return script
    .replace('$npm_package_config_heap', config?.heap ?? '')
    .split(' ')
    .filter((word) => word.startsWith('--'));
}

interface PackageJson {
  readonly config?: { readonly heap: string };
  readonly scripts: Readonly<Record<string, string>>;
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

/** The default probe: `/readyz` responds with 200. */
export async function answersReady(port: number): Promise<boolean> {
  return (await fetch(`http://127.0.0.1:${port}/readyz`)).ok;
}
