import { setTimeout as pause } from 'node:timers/promises';
import type { History } from './history.js';
import type { System } from './system.js';

/** Consumers before producers, one process of two at a time: docs/operations.md. The way back is the reverse. */
const order = ['connectors-1', 'connectors-2', 'query', 'ai-processing-1', 'ai-processing-2', 'ingestion', 'ingestion-2'] as const;

/** How long both releases work side by side after each process. */
const settleMs = 500;
/** How long one release works alone. */
const aloneMs = 5_000;

/** Takes the system of a run from the release before to this one, process by process, and back. */
export class Upgrade {
  constructor(
    private readonly system: System,
    private readonly roots: { readonly before: string; readonly after: string },
    private readonly history: History,
    private readonly tell: (line: string) => void,
  ) {}

  /** Resolves when the release before runs again, on the schema of this one. */
  async carryOut(): Promise<void> {
    await pause(aloneMs);
    await this.system.postgres.migrateWith(this.roots.after);
    this.tell('the schema is that of this release; the release before works on it');
    for (const name of order) await this.replace(name, 'after');
    this.tell('every process is of this release');
    await pause(aloneMs);
    for (const name of order.toReversed()) await this.replace(name, 'before');
    this.tell('every process is of the release before, on the schema of this one');
    await pause(aloneMs);
  }

  private async replace(name: string, release: 'before' | 'after'): Promise<void> {
    const at = this.history.now();
    const service = this.system.named(name);
    const status = await service.stop();
    if (status !== 0) service.surprises.push(`${name} ended with ${status} when it was told to stop`);
    service.moveTo(this.roots[release]);
    service.up();
    await service.ready();
    const what = `${name}: ${release === 'after' ? 'this release' : 'the release before'}`;
    this.tell(`${what} (${((this.history.now() - at) / 1_000).toFixed(1)} s)`);
    this.history.faults.push({ kind: 'upgrade', what, at, healedAt: this.history.now(), kills: 0 });
    await pause(settleMs);
  }
}
