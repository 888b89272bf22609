import { Injectable } from '@nestjs/common';
import { LruMap } from '#libs/lru';
import { BatchWriter, Database } from '#libs/persistence';
import { closedBreaker, isTroubled, standardBreaker } from '#libs/retries';
import type { AnsweredCalls, BreakerRules } from '#libs/retries';
import { counter, logger } from '#libs/tracing';
import { DestinationHealthTable } from './destination-health.table.js';
import type { DueDestination, LockedHealth } from './destination-health.table.js';
import { destinationKey } from './destination-name.js';
import type { DestinationName } from './destination-name.js';
import { DestinationWatch } from './destination-watch.js';
import type { BreakerState } from './destination-watch.js';
import { afterAttempt, afterSuccesses, meaningOf } from './health.js';
import type { Health, Observation } from './health.js';

/** The rules of the breaker that an installation can set. */
export type BreakerOptions = Pick<BreakerRules, 'openMs' | 'longestOpenMs'>;

const changes = counter('millrace_destination_changes_total', 'Changes of the health of destinations.', {
  tenant: 'the tenant',
  change: '`opened`, `closed`, `limited` or `disabled`',
});
const log = logger('destinations');

/** Destinations that a process remembers. One that is forgotten counts as calm until something is due for it. */
const remembered = 10_000;

interface DestinationObservation extends DestinationName {
  readonly observation: Observation;
  /** Successes before it that were not noted. */
  readonly answered: readonly AnsweredCalls[];
}

/**
 * Updates the health of a destination, which all processes share through Postgres, after each attempt that changes it: failures, and the successes
 * that {@link DestinationWatch} selects.
 */
@Injectable()
export class DestinationHealth {
  private readonly writer: BatchWriter<DestinationObservation, void>;
  private readonly rules: BreakerRules;
  private readonly watches = new LruMap<string, DestinationWatch>(remembered);

  constructor(
    private readonly database: Database,
    private readonly table: DestinationHealthTable,
    options: BreakerOptions,
  ) {
    this.rules = { ...standardBreaker, ...options };
    this.writer = new BatchWriter({ maxBatch: 500, lingerMs: 1, write: (observations) => this.update(observations) });
  }

  /** Takes over what a look for due deliveries found of their destinations. */
  see(due: readonly DueDestination[], lookedAtMs: number): void {
    for (const { tenant, destination, breaker, documentVersion } of due) {
      this.watchOf({ tenant, destination }).see(breaker, documentVersion, lookedAtMs);
    }
  }

  /** Resolves when the observation is stored, if it is one to be stored. Never fails: one that cannot be stored is logged and lost. */
  async note(destination: DestinationName, observation: Observation): Promise<void> {
    const meaning = meaningOf(observation);
    if (meaning === 'nothing') return;
    const [watch, nowMs] = [this.watchOf(destination), performance.now()];
    if (meaning === 'success' && !watch.notesSuccess(nowMs)) return;
    const { tenant, destination: name } = destination;
    const answered = watch.note(meaning === 'success', nowMs);
    try {
      await this.writer.add({ tenant, destination: name, observation, answered });
    } catch (error) {
      log.warn({ err: error, tenant, destination: name }, 'an observation of a destination is lost');
    } finally {
      watch.noteEnded(performance.now());
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
      for (const [at, one] of after.entries()) {
        this.watchOf(one).learn(stateOf(one.health));
        report(before[at]!, one.health);
      }
    });
  }

  private after({ health, nowMs }: LockedHealth, observations: readonly DestinationObservation[]): Health {
    const after = observations.reduce(
      (one, { observation, answered }) => afterAttempt(afterSuccesses(one, answered, nowMs, this.rules), observation, nowMs, this.rules),
      health,
    );
    return isTroubled(after.breaker) ? after : { ...after, breaker: closedBreaker };
  }

  private watchOf(destination: DestinationName): DestinationWatch {
    return this.watches.getOrMake(destinationKey(destination), () => new DestinationWatch(this.rules.windowMs));
  }
}

function stateOf({ breaker }: Health): BreakerState {
  if (breaker.openUntilMs !== null) return 'open';
  return isTroubled(breaker) ? 'troubled' : 'calm';
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
