import { execFileSync } from 'node:child_process';
import { appendFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { EmbeddedPostgres } from '#libs/embedded-postgres';
import { freePort } from '#libs/ports';
import { waitFor } from '#libs/testing';
import { KillablePostgres } from '../chaos/postgres.js';
import { withClient } from './with-client.js';

const slot = 'other_region';

/** A Postgres of another region, which follows the first one by streaming replication, asynchronously. */
export class StandbyPostgres {
  private stoppedSender: number | undefined;

  private constructor(
    private readonly primary: KillablePostgres,
    private readonly server: EmbeddedPostgres,
    private readonly directory: string,
  ) {}

  /** Restarts the primary in between, because the standby begins with a copy of its files. @param directory a new folder */
  static async follow(primary: KillablePostgres, directory: string): Promise<StandbyPostgres> {
    // Without the slot, the primary may delete what a standby that is far behind has not read.
    await asked(primary.administratorUrl, `SELECT pg_create_physical_replication_slot('${slot}', true)`);
    await primary.stop();
    // Postgres wants its files with their owner and their rights.
    execFileSync('cp', ['-a', join(primary.dataDirectory, '..'), directory]);
    for (const file of ['lock', 'port', 'data/postmaster.pid']) rmSync(join(directory, file), { force: true });
    await primary.start();
    const { hostname, port, username, password } = new URL(primary.administratorUrl);
    const source = `host=${hostname} port=${port} user=${username} password=${password}`;
    appendFileSync(join(directory, 'data', 'postgresql.auto.conf'), `primary_conninfo = '${source}'\nprimary_slot_name = '${slot}'\n`);
    const server = await EmbeddedPostgres.start({ directory, durable: true, isStandby: true, port: await freePort() });
    await waitFor(async () => (await asked(primary.administratorUrl, 'SELECT FROM pg_stat_replication')).length > 0, {
      deadlineMs: 60_000,
      what: 'the standby to follow',
    });
    return new StandbyPostgres(primary, server, directory);
  }

  /** Stops the process of the primary that sends to it. */
  async pause(): Promise<void> {
    const [sender] = await asked<{ pid: number }>(this.primary.administratorUrl, 'SELECT pid FROM pg_stat_replication');
    this.stoppedSender = sender!.pid;
    process.kill(sender!.pid, 'SIGSTOP');
  }

  /** Ends that process, which does not notice the end of its server while it is stopped. */
  forgetSender(): void {
    if (this.stoppedSender !== undefined) process.kill(this.stoppedSender, 'SIGKILL');
  }

  /** Makes it the primary, with what it had received. */
  async promote(): Promise<KillablePostgres> {
    await asked(this.server.administratorUrl, 'SELECT pg_promote(true, 120)');
    return KillablePostgres.over(this.directory, this.server);
  }
}

/** How far the standby is behind by the primary's account, s. */
export async function replicationLag(primary: KillablePostgres): Promise<number> {
  const [row] = await asked<{ lag: number | null }>(
    primary.administratorUrl,
    'SELECT extract(epoch FROM replay_lag)::float8 AS lag FROM pg_stat_replication',
  );
  return row?.lag ?? 0;
}

async function asked<Row>(url: string, sql: string): Promise<Row[]> {
  return withClient(url, async (client) => (await client.query(sql)).rows as Row[]);
}
