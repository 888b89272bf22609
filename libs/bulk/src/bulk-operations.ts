import type { BeforeApplicationShutdown, OnApplicationBootstrap } from '@nestjs/common';
import { DomainError, commandId } from '#libs/contracts';
import type { BulkOperationKind, BulkSelection, CancelBulkOperation, StartBulkOperation } from '#libs/contracts';
import { statement } from '#libs/persistence';
import type { Statement } from '#libs/persistence';
import { delayBefore, standardRetry } from '#libs/retries';
import { counter, logger, workDone } from '#libs/tracing';
import { BulkOperationTable } from './bulk-operation.table.js';
import type { BulkItem, BulkOperation, Progress } from './bulk-operation.table.js';
import { Pace, systemClock } from './pace.js';
import type { Clock } from './pace.js';
import { waves } from './waves.js';

/** Where a selection's items come from. */
export interface ItemStatements {
  readonly items: Statement;
  readonly count: Statement;
}

/** @param functions the SQL functions of a selection: what returns its items in pages, and what counts them up to a limit */
export function itemStatements(functions: { items: string; count: string }): ItemStatements {
  const { items, count } = functions;
  return {
    items: statement(items, `SELECT at::text, place, key, subject, flow, customer FROM ${items}($1, $2, $3::timestamptz, $4, $5, $6, $7)`),
    count: statement(count, `SELECT ${count}($1, $2, $3::timestamptz, $4) AS found`),
  };
}

export interface BulkOperationsOptions {
  readonly kind: BulkOperationKind;
  readonly sources: Readonly<Partial<Record<BulkSelection, ItemStatements>>>;
  /** Appends the item's command. The same item of an operation has the same id however often it is asked for. */
  readonly order: (operation: BulkOperation, item: BulkItem, commandId: string) => Promise<unknown>;
  /** How long a claim holds without being renewed. */
  readonly leaseMs: number;
  /** How often it looks for what other processes left behind, ms; default 1000. What is started here is taken up at once. */
  readonly pollMs?: number;
  readonly clock?: Clock;
}

interface Held {
  readonly operation: BulkOperation;
  readonly stop: AbortController;
  progress: Progress;
  readonly ended: Promise<void>;
}

/** Operations that one process carries out at once. */
const concurrency = 16;
const pageSize = 1_000;
/** Counting stops here: beyond it the number matters less than what counting costs. */
const countLimit = 100_000;
/** After a crash so much is appended again; it is dropped by its command id. A cancel is heard of this fast. */
const saveEveryMs = 500;

const items = counter('millrace_bulk_items_total', 'Items of bulk operations, by what became of their command: appended or failed.', [
  'kind',
  'outcome',
]);
const operations = counter('millrace_bulk_operations_total', 'Bulk operations, by the state that they came into.', ['kind', 'state']);
const log = logger('bulk operations');

/** The process stops, or the operation is not this process's any more. */
class Interrupted extends Error {}

/**
 * The bulk operations of one kind: starts and cancels them as commands say, and carries them out, each by one process at a time. An operation
 * whose process is gone is taken up by another one where the last saved position is.
 */
export class BulkOperations implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly held = new Set<Held>();
  private readonly clock: Clock;
  private woken = Promise.withResolvers<void>();
  private stopping = false;
  private loop: Promise<void> | undefined;
  private renewal: NodeJS.Timeout | undefined;

  constructor(
    private readonly table: BulkOperationTable,
    private readonly options: BulkOperationsOptions,
  ) {
    this.clock = options.clock ?? systemClock;
  }

  onApplicationBootstrap(): void {
    this.renewal = setInterval(() => void this.renew(), this.options.leaseMs / 3);
    this.loop = this.run();
  }

  /** What is under way is left to another process, at the item where it stands. */
  async beforeApplicationShutdown(): Promise<void> {
    this.stopping = true;
    this.woken.resolve();
    await this.loop;
    for (const { stop } of this.held) stop.abort(new Interrupted('The process stops'));
    await Promise.all([...this.held].map(({ ended }) => ended));
    clearInterval(this.renewal);
  }

  /** The same command twice is one operation. One of another kind is another app's. */
  async start(command: StartBulkOperation): Promise<void> {
    const { kind } = this.options;
    if (command.kind !== kind || !(await this.table.start(command))) return;
    operations.inc({ kind, state: 'running' });
    this.woken.resolve();
  }

  /** One that is over stays what it is. */
  async cancel(command: CancelBulkOperation): Promise<void> {
    const { kind } = this.options;
    if (command.kind === kind && (await this.table.cancel(command))) operations.inc({ kind, state: 'cancelled' });
  }

  private async run(): Promise<void> {
    while (!this.stopping) {
      this.woken = Promise.withResolvers(); // before the look, so that what comes during it is not missed
      for (const operation of await this.claim()) this.take(operation);
      if (!this.stopping) await this.pause();
    }
  }

  private async claim(): Promise<BulkOperation[]> {
    const free = concurrency - this.held.size;
    if (free <= 0) return [];
    try {
      return await this.table.claim(free, this.options.leaseMs);
    } catch (error) {
      log.warn({ err: error }, 'bulk operations cannot be claimed; trying again');
      return [];
    }
  }

  private async pause(): Promise<void> {
    const timer = setTimeout(() => this.woken.resolve(), this.options.pollMs ?? 1_000);
    await this.woken.promise;
    clearTimeout(timer);
  }

  private take(operation: BulkOperation): void {
    const { position, done, failed } = operation;
    const ended = Promise.withResolvers<void>();
    const held: Held = { operation, stop: new AbortController(), progress: { position, done, failed }, ended: ended.promise };
    this.held.add(held);
    void this.workOn(held).finally(() => {
      this.held.delete(held);
      this.woken.resolve();
      ended.resolve();
    });
  }

  /** Never fails: what went wrong is logged, and the operation is given back, runs out, or has failed for good. */
  private async workOn(held: Held): Promise<void> {
    const startedAt = performance.now();
    let outcome = 'ok';
    try {
      await this.carryOut(held);
    } catch (error) {
      outcome = await this.settle(held, error);
    }
    const { operation, progress } = held;
    const { tenant, id: operationId, actor } = operation;
    const { kind } = this.options;
    workDone(log, 'bulk operation', { tenant, operationId, kind, actor, ...progress, outcome, durationMs: performance.now() - startedAt });
  }

  private async settle(held: Held, error: unknown): Promise<string> {
    try {
      if (error instanceof Interrupted) {
        await this.table.save(held.operation, held.progress);
        await this.table.release(held.operation);
        return 'interrupted';
      }
      if (isPassing(error)) return error.code;
      log.error({ err: error, operationId: held.operation.id }, 'a bulk operation failed');
      const code = error instanceof DomainError ? error.code : 'bulkOperation.defect';
      await this.table.save(held.operation, held.progress);
      await this.end(held, { code, message: error instanceof Error ? error.message : String(error) });
      return code;
    } catch (second) {
      log.warn({ err: second, operationId: held.operation.id }, 'a bulk operation could not be given back; its claim runs out');
      return 'storage.unavailable';
    }
  }

  private async carryOut(held: Held): Promise<void> {
    const { operation, stop } = held;
    const source = this.options.sources[operation.selection];
    if (source === undefined) throw new Error(`Nothing of kind ${this.options.kind} is selected by ${operation.selection}`);
    if (operation.total === null) await this.table.count(operation, source.count, countLimit);
    const pace = new Pace(operation.ratePerSecond, this.clock);
    const perWave = Math.ceil(operation.ratePerSecond / 10);
    let savedAt = this.clock.now();
    for (;;) {
      const page = await this.table.items(operation, source.items, held.progress.position, pageSize);
      for (const wave of waves(page, perWave)) {
        await pace.pass(wave.length, stop.signal);
        await this.orderAll(held, wave);
        if (this.clock.now() - savedAt < saveEveryMs) continue;
        if (!(await this.table.save(operation, held.progress))) return;
        savedAt = this.clock.now();
      }
      if (!(await this.table.save(operation, held.progress))) return;
      if (page.length === 0) return this.end(held);
    }
  }

  /** Goes on when the log has every command of the wave, or will never take it. */
  private async orderAll(held: Held, wave: readonly BulkItem[]): Promise<void> {
    let open = wave;
    let failed = 0;
    for (let retry = 1; open.length > 0; retry += 1) {
      if (retry > 1) await this.clock.sleep(delayBefore(standardRetry, retry - 1), held.stop.signal);
      const ends = await Promise.allSettled(open.map((item) => this.order(held.operation, item)));
      const isOpen = ends.map((end) => end.status === 'rejected' && isPassing(end.reason));
      const refusals = ends.filter((end, at) => end.status === 'rejected' && !isOpen[at]) as PromiseRejectedResult[];
      for (const { reason } of refusals)
        log.error({ err: reason as unknown, operationId: held.operation.id }, 'a command cannot be appended');
      failed += refusals.length;
      open = open.filter((_, at) => isOpen[at]);
    }
    items.inc({ kind: this.options.kind, outcome: 'appended' }, wave.length - failed);
    items.inc({ kind: this.options.kind, outcome: 'failed' }, failed);
    const { at, place, key } = wave.at(-1)!;
    const { progress } = held;
    held.progress = { position: { at, place, key }, done: progress.done + wave.length - failed, failed: progress.failed + failed };
  }

  private async order(operation: BulkOperation, item: BulkItem): Promise<void> {
    await this.options.order(operation, item, commandId(operation.tenant, operation.id, 'item', item.key));
  }

  private async end({ operation }: Held, failure?: { code: string; message: string }): Promise<void> {
    const ended = await this.table.finish(operation, failure);
    if (ended) operations.inc({ kind: this.options.kind, state: failure === undefined ? 'completed' : 'failed' });
  }

  /** Where storage does not answer, the claims run out by themselves, and a second holder only repeats commands that have their ids already. */
  private async renew(): Promise<void> {
    const held = [...this.held];
    if (held.length === 0) return;
    try {
      const renewed = await this.table.renew(
        held.map(({ operation }) => operation),
        this.options.leaseMs,
      );
      for (const { operation, stop } of held)
        if (!renewed.has(operation.id)) stop.abort(new Interrupted('The operation is over, or another process has it'));
    } catch (error) {
      log.warn({ err: error }, 'claims of bulk operations could not be renewed');
    }
  }
}

function isPassing(error: unknown): error is DomainError {
  return error instanceof DomainError && error.outcome === 'retry';
}
