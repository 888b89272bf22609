import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { EmbeddedPostgres } from '#libs/embedded-postgres';
import { migrate } from '#libs/migrations';
import { postgresPid } from '../forms/postgres-pid.js';
import { cpuMsWithChildren } from '../forms/process-cpu.js';

const restartDeadlineMs = 60_000;

/** The Postgres of a run, with the durability of production. It can be killed and restarts at the same address with all committed data. */
export class KillablePostgres {
  private server: EmbeddedPostgres;
  private earlierCpuMs = 0;

  private constructor(
    private readonly directory: string,
    server: EmbeddedPostgres,
  ) {
    this.server = server;
  }

  /** @param root the folder of another release, which migrates it; default: the schema of this one */
  static async start(directory: string, root?: string): Promise<KillablePostgres> {
    const postgres = new KillablePostgres(directory, await EmbeddedPostgres.start({ directory, durable: true }));
    if (root === undefined) await migrate(postgres.server.ownerUrl);
    else await postgres.migrateWith(root);
    return postgres;
  }

  /** Runs the migration of the release in a folder, as an operator does. */
  async migrateWith(root: string): Promise<void> {
    const env = { PATH: process.env['PATH'] ?? '', DATABASE_URL: this.server.ownerUrl };
    const args = ['dist/libs/migrations/src/migrate.main.js'];
    await promisify(execFile)(process.execPath, args, { cwd: root, env, timeout: restartDeadlineMs });
  }

  /** Takes over a server that runs already. @param directory the folder that it was started with */
  static over(directory: string, server: EmbeddedPostgres): KillablePostgres {
    return new KillablePostgres(directory, server);
  }

  get serviceUrl(): string {
    return this.server.serviceUrl;
  }

  get queryUrl(): string {
    return this.server.queryUrl;
  }

  /** Address of the superuser, for backups and settings of the server. */
  get administratorUrl(): string {
    return this.server.administratorUrl;
  }

  /** The folder of its files. A drill puts another one in its place while it is down. */
  get dataDirectory(): string {
    return join(this.directory, 'data');
  }

  get cpuMs(): number {
    return this.earlierCpuMs + cpuMsWithChildren(this.pid);
  }

  /** Sends SIGKILL, or SIGQUIT for an immediate shutdown. Both leave the recovery to the next start. */
  async end(signal: 'SIGKILL' | 'SIGQUIT'): Promise<void> {
    this.earlierCpuMs = this.cpuMs;
    process.kill(this.pid, signal);
    await this.server.stop();
  }

  /** Retries, because the children of the previous server may keep its shared memory for a moment. */
  async start(): Promise<void> {
    const deadline = performance.now() + restartDeadlineMs;
    for (;;) {
      try {
        this.server = await EmbeddedPostgres.start({ directory: this.directory, durable: true });
        return;
      } catch (error) {
        if (performance.now() > deadline) throw error;
        await pause(200);
      }
    }
  }

  async stop(): Promise<void> {
    await this.server.stop();
  }

  private get pid(): number {
    return postgresPid(this.directory);
  }
}
