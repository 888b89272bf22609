import { Injectable } from '@nestjs/common';
import { BatchWriter, Database } from '#libs/persistence';
import { standardBreaker } from '#libs/retries';
import type { BreakerRules } from '#libs/retries';
import { counter, logger } from '#libs/tracing';
import { DestinationHealthTable } from './destination-health.table.js';
import type { DestinationName, LockedHealth } from './destination-health.table.js';
import { afterAttempt } from './health.js';
import type { Health, Observation } from './health.js';

/** Settings of an installation; everything else of the breaker's rules is fixed. */
export type BreakerOptions = Pick<BreakerRules, 'openMs' | 'longestOpenMs'>;

const changes = counter('millrace_destination_changes_total', 'Changes in how a destination is doing: opened, closed, limited, disabled.', [
  'tenant',
  'change',
]);
const log = logger('destinations');

interface Seen extends DestinationName {
  readonly observation: Observation;
}

/** Learns from every attempt how its destination is doing, and tells all processes through Postgres. */
@Injectable()
export class DestinationHealth {
  private readonly writer: BatchWriter<Seen, void>;
  private readonly rules: BreakerRules;

  constructor(
    private readonly database: Database,
    private readonly table: DestinationHealthTable,
    options: BreakerOptions,
  ) {
    this.rules = { ...standardBreaker, ...options };
    this.writer = new BatchWriter<Seen, void>({
      maxBatch: 500,
      lingerMs: 1,
      write: async (seen) => {
        await this.learn(seen);
        return seen.map(() => undefined);
      },
    });
  }

  /** Resolves when every process can know. Never fails: what could not be stored is not learned. */
  async note(destination: DestinationName, observation: Observation): Promise<void> {
    const { tenant, destination: name } = destination;
    try {
      await this.writer.add({ tenant, destination: name, observation });
    } catch (error) {
      log.warn({ err: error, tenant, destination: name }, 'what an attempt says about its destination is lost');
    }
  }

  private async learn(seen: readonly Seen[]): Promise<void> {
    const byDestination = Map.groupBy(seen, addressOf);
    await this.database.transaction(async (session) => {
      const before = await this.table.lock(
        session,
        [...byDestination.values()].map(([first]) => first!),
      );
      const after = before.map((one) => ({ ...one, health: this.after(one, byDestination.get(addressOf(one))!) }));
      await this.table.save(session, after);
      for (const [at, one] of after.entries()) report(before[at]!, one.health);
    });
  }

  private after({ health, nowMs }: LockedHealth, seen: readonly Seen[]): Health {
    return seen.reduce((one, { observation }) => afterAttempt(one, observation, nowMs, this.rules), health);
  }
}

function addressOf({ tenant, destination }: DestinationName): string {
  return `${tenant}/${destination}`;
}

function report({ tenant, destination, health: before }: LockedHealth, after: Health): void {
  for (const change of changesOf(before, after)) {
    changes.inc({ tenant, change });
    const { open, limited, disabled } = after;
    log.info({ tenant, destination, change, open, limited, disabled }, 'a destination is doing differently');
  }
}

function changesOf(before: Health, after: Health): string[] {
  const found: [string, boolean][] = [
    ['opened', after.open !== null && after.open.untilMs !== before.open?.untilMs],
    ['closed', after.open === null && before.open !== null],
    ['limited', after.limited !== before.limited],
    ['disabled', after.disabled !== null && before.disabled === null],
  ];
  return found.filter(([, happened]) => happened).map(([change]) => change);
}
