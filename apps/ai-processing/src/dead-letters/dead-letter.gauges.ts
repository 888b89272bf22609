import { Injectable } from '@nestjs/common';
import type { BeforeApplicationShutdown, OnApplicationBootstrap } from '@nestjs/common';
import { HoldTable } from '#libs/holds';
import { gauge } from '#libs/tracing';
import { Periodically } from '#libs/work';
import { DeadLetterStore } from './dead-letter.store.js';

const everyMs = 15_000;

const kinds = ['record', 'run', 'delivery'] as const;
const open = gauge(
  'millrace_dead_letters_open',
  'Dead letters that nobody has resolved, of all tenants. Each process of the service measures all.',
  {
    kind: kinds,
  },
);
const oldest = gauge('millrace_dead_letters_oldest_open_seconds', 'Age of the oldest open dead letter; 0 if there is none.', {
  kind: kinds,
});
const heldRecords = gauge(
  'millrace_records_held',
  'Records in the hold store, of all tenants: they wait behind a dead letter of their customer, or for memory. Each process of the service measures all.',
  { group: 'the consumer group' },
);

/** Measures what waits for an operator: the open dead letters, and the records that are held behind them. */
@Injectable()
export class DeadLetterGauges implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly measurements = new Periodically('measuring the dead letters', everyMs, () => this.measure(), { atOnce: true });
  /** The groups that have had held records. */
  private readonly groups = new Set(['flows', 'deliveries']);

  constructor(
    private readonly deadLetters: DeadLetterStore,
    private readonly holds: HoldTable,
  ) {}

  onApplicationBootstrap(): void {
    this.measurements.start();
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.measurements.stop();
  }

  async measure(): Promise<void> {
    const letters = new Map((await this.deadLetters.backlog()).map((one) => [one.kind, one]));
    for (const kind of kinds) {
      open.set({ kind }, letters.get(kind)?.open ?? 0);
      oldest.set({ kind }, letters.get(kind)?.oldestSeconds ?? 0);
    }
    const held = new Map((await this.holds.countRecords()).map(({ group, records }) => [group, records]));
    for (const group of held.keys()) this.groups.add(group);
    for (const group of this.groups) heldRecords.set({ group }, held.get(group) ?? 0);
  }
}
