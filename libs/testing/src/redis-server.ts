import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { freePort, takesConnections } from '#libs/ports';
import { waitFor } from './wait-for.js';

const program = '/usr/bin/redis-server';

/** A real Redis on loopback. It keeps nothing on disk. */
export interface RedisServer {
  readonly url: string;
  /** It accepts connections and answers nothing, until {@link resume}. */
  pause(): void;
  resume(): void;
  /** Ends it; {@link restart} starts an empty one at the same address. */
  stop(): Promise<void>;
  restart(): Promise<void>;
}

/** True if Debian's Redis is installed. Prints why tests are left out, if it is not. */
export function hasRedis(): boolean {
  if (existsSync(program)) return true;
  process.stdout.write(`What processes share over Redis was not tested: there is no ${program} (Debian: apt-get install redis-server).\n`);
  return false;
}

export async function startRedis(): Promise<RedisServer> {
  const port = await freePort();
  let server = await startAt(port);
  return {
    url: `redis://127.0.0.1:${port}`,
    pause: () => void server.kill('SIGSTOP'),
    resume: () => void server.kill('SIGCONT'),
    stop: async () => {
      const ended = once(server, 'exit');
      server.kill('SIGKILL');
      await ended;
    },
    restart: async () => {
      server = await startAt(port);
    },
  };
}

async function startAt(port: number): Promise<ReturnType<typeof spawn>> {
  const server = spawn(program, ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', '/tmp'], {
    stdio: 'ignore',
  });
  await waitFor(() => takesConnections(port), { what: 'Redis' });
  return server;
}
