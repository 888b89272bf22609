import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { waitFor } from '#libs/testing';
import type { KillablePostgres } from '../chaos/postgres.js';
import { withClient } from './with-client.js';

/**
 * A base backup and an archive of the WAL, with which a Postgres can be restored to any moment between the backup and its last archived segment. The
 * backup is made with `pg_backup_start` and `pg_backup_stop`, because the embedded Postgres comes without `pg_basebackup`.
 */
export class PostgresArchive {
  private constructor(
    private readonly postgres: KillablePostgres,
    private readonly directory: string,
  ) {}

  /** Restarts the server with an archive in the folder. */
  static async start(postgres: KillablePostgres, directory: string): Promise<PostgresArchive> {
    const archive = new PostgresArchive(postgres, directory);
    mkdirSync(archive.segments, { recursive: true });
    chmodSync(archive.segments, 0o777); // Postgres runs as another user than root
    await withClient(postgres.administratorUrl, async (client) => {
      await client.query('ALTER SYSTEM SET archive_mode = on');
      await client.query(`ALTER SYSTEM SET archive_command = 'test ! -f "${archive.segments}/%f" && cp "%p" "${archive.segments}/%f"'`);
    });
    await postgres.stop();
    await postgres.start();
    return archive;
  }

  /** Copies the files of the running server. */
  async takeBaseBackup(): Promise<void> {
    await withClient(this.postgres.administratorUrl, async (client) => {
      await client.query(`SELECT pg_backup_start('drill', fast => true)`);
      const left = ['pg_wal/*', 'postmaster.pid', 'postmaster.opts'].map((file) => `--exclude=./${file}`);
      // Status 1: a file changed or vanished meanwhile, which the WAL makes good.
      await runs('tar', ['-C', this.postgres.dataDirectory, ...left, '-cf', this.backup, '.'], [0, 1]);
      const { rows } = await client.query<{ label: string }>('SELECT labelfile AS label FROM pg_backup_stop(wait_for_archive => true)');
      writeFileSync(this.label, rows[0]!.label);
    });
  }

  /** The moment by the server's clock. */
  async now(): Promise<Date> {
    return withClient(this.postgres.administratorUrl, async (client) => {
      const { rows } = await client.query<{ now: Date }>('SELECT clock_timestamp() AS now');
      return rows[0]!.now;
    });
  }

  /** Waits until everything that was committed so far is in the archive, as `archive_timeout` does after a while. */
  async untilArchived(): Promise<void> {
    await withClient(this.postgres.administratorUrl, async (client) => {
      const { rows } = await client.query<{ segment: string }>('SELECT pg_walfile_name(pg_switch_wal()) AS segment');
      await waitFor(
        async () => {
          const archived = await client.query('SELECT FROM pg_stat_archiver WHERE last_archived_wal >= $1', [rows[0]!.segment]);
          return archived.rowCount === 1;
        },
        { deadlineMs: 30_000, what: 'the WAL to be archived' },
      );
    });
  }

  /** Kills the server and removes its files, with the WAL that was not archived. */
  async loseServer(): Promise<void> {
    await this.postgres.end('SIGKILL');
    rmSync(this.postgres.dataDirectory, { recursive: true, force: true });
  }

  /** Starts a server with what was committed until `to`. */
  async restore(to: Date): Promise<void> {
    const data = this.postgres.dataDirectory;
    mkdirSync(data, { mode: 0o700 });
    await runs('tar', ['-C', data, '-xf', this.backup], [0]);
    await runs('cp', [this.label, join(data, 'backup_label')], [0]);
    writeFileSync(join(data, 'recovery.signal'), '');
    // Without hot_standby, connections are refused until the recovery has ended.
    const settings = {
      restore_command: `cp "${this.segments}/%f" "%p"`,
      recovery_target_time: to.toISOString().replace('T', ' ').replace('Z', '+00'), // the T and the Z of ISO 8601 are refused
      recovery_target_action: 'promote',
      hot_standby: 'off',
    };
    appendFileSync(
      join(data, 'postgresql.conf'),
      Object.entries(settings)
        .map(([name, value]) => `${name} = '${value}'\n`)
        .join(''),
    );
    await this.postgres.start();
  }

  private get segments(): string {
    return join(this.directory, 'wal');
  }

  private get backup(): string {
    return join(this.directory, 'base.tar');
  }

  private get label(): string {
    return join(this.directory, 'backup_label');
  }
}

async function runs(program: string, args: readonly string[], allowed: readonly number[]): Promise<void> {
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let output = '';
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString('utf8')));
  const [code] = (await once(child, 'close')) as [number | null];
  if (code === null || !allowed.includes(code)) throw new Error(`${program} ended with ${code}: ${output}`);
}
