import { counted } from './counted.js';
import { SettingsInvalid, readSettings } from '#libs/config';
import { LogAlignment } from '#libs/messaging';
import type { AlignedPartition } from '#libs/messaging';
import { requireSchema } from '#libs/migrations';
import {
  Database,
  DatabaseAddressRefused,
  RoleRefused,
  SchemaOutdated,
  StorageUnavailable,
  databaseSettings,
  databaseUrl,
} from '#libs/persistence';
import { PositionTable } from '#libs/positions';
import { logOptions, logSettings } from '#libs/service';
import { CliFailure } from './failure.js';
import type { Output } from './output.js';

export interface RestoreOptions {
  /** The moment that Postgres was restored to. */
  readonly to: string;
  /** Goes on although the log has deleted records that the database does not have. */
  readonly acceptLoss: boolean;
  readonly dryRun: boolean;
}

/** The clock of the operator and that of Postgres may differ by this much. */
const clockToleranceMs = 60_000;

/**
 * `millrace restore`: sets the consumer groups back to what a restored database has. It talks to the log and to Postgres with the settings of a service,
 * because the services are stopped.
 */
export async function restore(environment: NodeJS.ProcessEnv, options: RestoreOptions, output: Output): Promise<void> {
  try {
    const settings = readSettings('restore', { ...databaseSettings, ...logSettings }, environment);
    const url = databaseUrl(settings.databaseUrl, settings);
    const database = await Database.connect({ url, role: 'millrace_service', applicationName: 'millrace-restore', poolSize: 1 });
    try {
      await requireSchema(database);
      const positions = new PositionTable(database);
      refuseLaterDatabase(await positions.newest(), new Date(options.to));
      const log = await LogAlignment.connect({ ...logOptions(settings), clientId: 'millrace-restore' }).catch(logIsAway);
      try {
        await setBack(log, positions, options, output);
      } finally {
        await log.close();
      }
    } finally {
      await database.close();
    }
  } catch (error) {
    const expected = [SettingsInvalid, DatabaseAddressRefused, RoleRefused, SchemaOutdated, StorageUnavailable];
    throw expected.some((kind) => error instanceof kind) ? new CliFailure((error as Error).message, 'unusable') : error;
  }
}

function logIsAway(cause: Error): never {
  throw new CliFailure(`The log does not respond: ${cause.message}`, 'unusable');
}

/** @throws CliFailure if the database is not one of the moment `to` */
function refuseLaterDatabase(newest: Date | null, to: Date): void {
  const latest = new Date(to.getTime() + clockToleranceMs);
  if (newest === null || newest <= latest) return;
  throw new CliFailure(
    `This database is not of ${to.toISOString()}: it was written at ${newest.toISOString()}. Restore Postgres first, or give the moment that it was restored to.`,
    'refused',
  );
}

async function setBack(log: LogAlignment, table: PositionTable, options: RestoreOptions, output: Output): Promise<void> {
  const atWork = await log.groupsAtWork();
  if (atWork.length > 0)
    throw new CliFailure(
      `Consumers are at work (${atWork.join(', ')}). Stop ai-processing and connectors first, and wait for the end of their sessions.`,
      'refused',
    );
  const plan = await log.plan(await table.all());
  for (const [group, ofGroup] of Map.groupBy(plan, (one) => one.group)) tell(group, ofGroup, output);
  const deleted = sum(plan, (one) => one.deleted);
  if (deleted > 0 && !options.acceptLoss)
    throw new CliFailure(
      `The log has deleted ${deleted} of these records, so what the database does not have of them is lost. Restore Postgres to a later moment, or say --accept-loss.`,
      'refused',
    );
  if (options.dryRun) return output.note('Nothing was changed.');
  await log.align(plan);
  output.note(
    'The groups are set back. Start the services: what the database has is found to be done, and the rest is done again under the same ids.',
  );
}

function tell(group: string, plan: readonly AlignedPartition[], output: Output): void {
  const again = sum(plan, ({ committed, offset }) => Math.max(0, (committed ?? offset) - offset));
  const waiting = sum(plan, ({ end, offset }) => end - offset) - again;
  const deleted = sum(plan, (one) => one.deleted);
  const parts = [
    `${group}  ${counted(again, 'record')} to handle again, ${waiting} for the first time`,
    ...(deleted === 0 ? [] : [`${deleted} that the log has deleted are not`]),
  ];
  output.result({ group, again, waiting, deleted }, parts.join('; '));
}

function sum<T>(items: readonly T[], valueOf: (item: T) => number): number {
  return items.reduce((total, item) => total + valueOf(item), 0);
}
