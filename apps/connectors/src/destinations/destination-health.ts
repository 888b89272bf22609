import { Injectable } from '@nestjs/common';
import { BatchWriter, Database } from '#libs/persistence';
import { standardBreaker } from '#libs/retries';
import type { BreakerRules } from '#libs/retries';
import { counter, logger } from '#libs/tracing';
import { DestinationHealthTable } from './destination-health.table.js';
import type { LockedHealth } from './destination-health.table.js';
import { destinationKey } from './destination-name.js';
import type { DestinationName } from './destination-name.js';
import { afterAttempt } from './health.js';
import type { Health, Observation } from './health.js';

/** The rules of the breaker that an installation can set. */
export type BreakerOptions = Pick<BreakerRules, 'openMs' | 'longestOpenMs'>;

const changes = counter('millrace_destination_changes_total', 'Changes of the health of destinations: opened, closed, limited, disabled.', [
  'tenant',
  'change',
]);
const log = logger('destinations');

interface DestinationObservation extends DestinationName {
  readonly observation: Observation;
}

/** Updates the health of a destination after every attempt. All processes share it through Postgres. */
@Injectable()
export class DestinationHealth {
  private readonly writer: BatchWriter<DestinationObservation, void>;
  private readonly rules: BreakerRules;

  constructor(
    private readonly database: Database,
    private readonly table: DestinationHealthTable,
    options: BreakerOptions,
  ) {
    this.rules = { ...standardBreaker, ...options };
    this.writer = new BatchWriter({ maxBatch: 500, lingerMs: 1, write: (observations) => this.update(observations) });
  }

  /** Resolves when the observation is stored. Never fails: one that cannot be stored is logged and lost. */
  async note(destination: DestinationName, observation: Observation): Promise<void> {
    const { tenant, destination: name } = destination;
    try {
      await this.writer.add({ tenant, destination: name, observation });
    } catch (error) {
      log.warn({ err: error, tenant, destination: name }, 'an observation of a destination is lost');
    }
  }

  private async update(observations: readonly DestinationObservation[]): Promise<void> {
    const byDestination = Map.groupBy(observations, destinationKey);
    await this.database.transaction(async (session) => {
      const before = await this.table.lock(
        session,
        [...byDestination.values()].map(([first]) => first!),
      );
      const after = before.map((one) => ({ ...one, health: this.after(one, byDestination.get(destinationKey(one))!) }));
      await this.table.save(session, after);
      for (const [at, one] of after.entries()) report(before[at]!, one.health);
    });
  }

  private after({ health, nowMs }: LockedHealth, observations: readonly DestinationObservation[]): Health {
    return observations.reduce((one, { observation }) => afterAttempt(one, observation, nowMs, this.rules), health);
  }
}

function report({ tenant, destination, health: before }: LockedHealth, after: Health): void {
  for (const change of changesOf(before, after)) {
    changes.inc({ tenant, change });
    const { open, limited, disabled } = after;
    log.info({ tenant, destination, change, open, limited, disabled }, 'the health of a destination changed');
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
