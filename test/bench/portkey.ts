import { execFile, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { freePort, takesConnections } from '#libs/ports';
import { waitFor } from '#libs/testing';

const version = '1.15.2';
const folder = resolve('.cache/bench/portkey');

/** Portkey's gateway in a process of its own, as its package starts it. */
export interface Portkey {
  readonly origin: string;
  /** The process, whose CPU is that of the gateway alone. */
  readonly pid: number;
  /** Headers that send a request on to the provider. */
  readonly headers: Readonly<Record<string, string>>;
  stop(): void;
}

/**
 * Starts the gateway, a peer for measurements that Millrace itself does not need. It is installed when it is first asked for, without its scripts.
 * @param provider the origin of the OpenAI-compatible server behind it
 * @returns undefined, after a printed reason, if it cannot be installed
 */
export async function startPortkey(provider: string): Promise<Portkey | undefined> {
  const program = join(folder, 'node_modules/@portkey-ai/gateway/build/start-server.js');
  if (!existsSync(program)) {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'package.json'), JSON.stringify({ private: true }));
    try {
      const args = ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--save-exact', `@portkey-ai/gateway@${version}`];
      await promisify(execFile)('npm', args, { cwd: folder });
    } catch (error) {
      console.log(`Portkey's gateway is left out, because it could not be installed: ${(error as Error).message.split('\n')[0]}`);
      return undefined;
    }
  }
  const port = await freePort();
  const child: ChildProcess = spawn(process.execPath, [program, `--port=${port}`, '--headless'], {
    stdio: 'ignore',
    env: { ...process.env, TRUSTED_CUSTOM_HOSTS: '127.0.0.1,localhost', NODE_ENV: 'production' },
  });
  process.on('exit', () => child.kill('SIGKILL'));
  await waitFor(() => takesConnections(port), { what: 'Portkey’s gateway' });
  return {
    origin: `http://127.0.0.1:${port}`,
    pid: child.pid!,
    headers: { 'x-portkey-provider': 'openai', 'x-portkey-custom-host': `${provider}/v1` },
    stop: () => void child.kill('SIGKILL'),
  };
}
