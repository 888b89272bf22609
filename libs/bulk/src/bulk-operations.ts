import type { BeforeApplicationShutdown, OnApplicationBootstrap } from '@nestjs/common';
import { DomainError, commandId, messageOf } from '#libs/contracts';
import type { BulkOperationKind, BulkSelection, CancelBulkOperation, StartBulkOperation } from '#libs/contracts';
import { statement } from '#libs/persistence';
import type { Database, Statement } from '#libs/persistence';
import { delayBefore, standardRetry } from '#libs/retries';
import { wallTime } from '#libs/time';
import { counter, logger, workDone } from '#libs/tracing';
import { ClaimLoop } from '#libs/work';
import type { Lease } from '#libs/work';
import { BulkProgressTable } from './bulk-progress.table.js';
import type { BulkItem, BulkOperation, Progress } from './bulk-progress.table.js';
import { Pace, systemClock } from './pace.js';
import type { OperationClock } from './pace.js';
import { waves } from './waves.js';

/** The statements that read the items of a selection. */
export interface ItemStatements {
  readonly items: Statement;
  readonly count: Statement;
}

/** @param functions the SQL functions of a selection: one returns its items in pages, the other counts them up to a limit. `hasDeadLetters`: items have a column `dead_letter` */
export function itemStatements(functions: { items: string; count: string; hasDeadLetters?: boolean }): ItemStatements {
  const { items, count, hasDeadLetters = false } = functions;
  const letter = hasDeadLetters ? ', dead_letter AS "deadLetter"' : '';
  return {
    items: statement(
      items,
      `SELECT at::text, place, key, subject, flow, customer${letter} FROM ${items}($1, $2, $3::timestamptz, $4, $5, $6, $7)`,
    ),
    count: statement(count, `SELECT ${count}($1, $2, $3::timestamptz, $4) AS found`),
  };
}

/** The part of a command that is alike for all kinds of operations. */
export interface ItemCommand {
  readonly tenant: string;
  readonly customer: string;
  /** The same on every repeat of an item of an operation. */
  readonly commandId: string;
  readonly actor: string;
  readonly at: string;
}

export interface BulkOperationsOptions {
  readonly kind: BulkOperationKind;
  readonly sources: Readonly<Partial<Record<BulkSelection, ItemStatements>>>;
  /** Appends the item's command. */
  readonly append: (command: ItemCommand, item: BulkItem, operation: BulkOperation) => Promise<unknown>;
  /** Finds the items for which nothing is to be ordered: by subject, the code of the reason. Asked once for each page of items; default: none. */
  readonly leftOut?: (operation: BulkOperation, items: readonly BulkItem[]) => Promise<ReadonlyMap<string, string>>;
  /** How long a claim holds without being renewed, ms. */
  readonly leaseMs: number;
  /** How often to look for operations that other processes left behind, ms; default 1000. One that is started here is claimed at once. */
  readonly pollMs?: number;
  readonly clock?: OperationClock;
}

/** An operation that this process carries out, and how far it is by now. */
interface RunningOperation {
  readonly operation: BulkOperation;
  readonly signal: AbortSignal;
  progress: Progress;
}

/** Operations that one process carries out at once. */
const concurrency = 16;
const pageSize = 1_000;
/** Counting stops at this number, because counting further costs more than it tells. */
const countLimit = 100_000;
/** The progress is saved this often, and a cancel is noticed then. After a crash, the commands since are appended again and dropped by their ids. */
const saveEveryMs = 500;

const items = counter(
  'millrace_bulk_items_total',
  'Items of bulk operations, by what became of their command: appended, failed, or left out because nothing was to be ordered.',
  {
    kind: 'the kind of operation',
    outcome: '`appended`, `failed` or `leftOut`',
  },
);
const operations = counter('millrace_bulk_operations_total', 'Bulk operations, by the state that they came into.', {
  kind: 'the kind of operation',
  state: '`running`, `completed`, `failed` or `cancelled`',
});
const log = logger('bulk operations');

/**
 * The bulk operations of one kind. Starts and cancels them as commands say, and carries them out, each by one process at a time. If a process
 * ends, another one takes its operations up at the last saved position.
 */
export class BulkOperations implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly table: BulkProgressTable;
  private readonly loop: ClaimLoop<BulkOperation>;
  private readonly clock: OperationClock;

  constructor(
    database: Database,
    private readonly options: BulkOperationsOptions,
  ) {
    const table = new BulkProgressTable(database, options.kind);
    this.table = table;
    this.clock = options.clock ?? systemClock;
    const { leaseMs, pollMs = 1_000 } = options;
    this.loop = new ClaimLoop({
      what: 'bulk operations',
      concurrency,
      leaseMs,
      pollMs,
      stopMs: 0,
      claim: async (free) => ({ claims: await table.claim(free, leaseMs) }),
      renew: (held) => this.renew(held),
      work: (operation, lease) => this.workOn(operation, lease),
      lost: ({ id }) => new Error(`The bulk operation ${id} is over, or another process has it`),
    });
  }

  onApplicationBootstrap(): void {
    this.loop.start();
  }

  /** Saves the position of each operation under way and gives it back, so that another process goes on at that item. */
  async beforeApplicationShutdown(): Promise<void> {
    await this.loop.stop();
  }

  /** A command that comes twice starts one operation. A command of another kind is ignored: it belongs to another app. */
  async start(command: StartBulkOperation): Promise<void> {
    const { kind } = this.options;
    if (command.kind !== kind || !(await this.table.start(command))) return;
    operations.inc({ kind, state: 'running' });
    this.loop.wake();
  }

  /** Changes nothing if the operation is over. */
  async cancel(command: CancelBulkOperation): Promise<void> {
    const { kind } = this.options;
    if (command.kind === kind && (await this.table.cancel(command))) operations.inc({ kind, state: 'cancelled' });
  }

  /** Never fails: a failure is logged, and the operation is given back, its claim runs out, or it has failed for good. */
  private async workOn(operation: BulkOperation, { signal }: Lease): Promise<void> {
    const startedAt = performance.now();
    const { position, done, failed, leftOut, tenant, id: operationId, actor } = operation;
    const running: RunningOperation = { operation, signal, progress: { position, done, failed, leftOut } };
    let outcome = 'ok';
    try {
      await this.carryOut(running);
    } catch (error) {
      outcome = await this.settle(running, error);
    }
    const { kind } = this.options;
    const durationMs = performance.now() - startedAt;
    workDone(log, 'bulk operation', { tenant, operationId, kind, actor, ...running.progress, outcome, durationMs });
  }

  private async settle(running: RunningOperation, error: unknown): Promise<string> {
    const { operation, signal, progress } = running;
    try {
      if (signal.aborted) {
        await this.table.save(operation, progress);
        await this.table.release(operation);
        return 'interrupted';
      }
      if (isPassing(error)) return error.code;
      log.error({ err: error, operationId: operation.id }, 'a bulk operation failed');
      const code = error instanceof DomainError ? error.code : 'bulkOperation.defect';
      await this.table.save(operation, progress);
      await this.end(running, { code, message: messageOf(error) });
      return code;
    } catch (second) {
      log.warn({ err: second, operationId: operation.id }, 'a bulk operation could not be given back; its claim runs out');
      return 'storage.unavailable';
    }
  }

  private async carryOut(running: RunningOperation): Promise<void> {
    const { operation, signal } = running;
    const source = this.options.sources[operation.selection];
    if (source === undefined) throw new Error(`Nothing of kind ${this.options.kind} is selected by ${operation.selection}`);
    if (operation.total === null) await this.table.count(operation, source.count, countLimit);
    const pace = new Pace(operation.ratePerSecond, this.clock);
    const perWave = Math.ceil(operation.ratePerSecond / 10);
    let savedAt = this.clock.now();
    for (;;) {
      const page = await this.table.items(operation, source.items, running.progress.position, pageSize);
      const leftOut = await this.leftOutOf(operation, page);
      for (const wave of waves(page, perWave)) {
        const ordered = wave.filter(({ subject }) => !leftOut.has(subject));
        if (ordered.length > 0) await pace.pass(ordered.length, signal);
        const failed = await this.appendAll(running, ordered);
        this.note(running, wave, { done: ordered.length - failed, failed, leftOut });
        if (this.clock.now() - savedAt < saveEveryMs) continue;
        if (!(await this.table.save(operation, running.progress))) return;
        savedAt = this.clock.now();
      }
      if (!(await this.table.save(operation, running.progress))) return;
      if (page.length === 0) return this.end(running);
    }
  }

  private async leftOutOf(operation: BulkOperation, page: readonly BulkItem[]): Promise<ReadonlyMap<string, string>> {
    const { leftOut } = this.options;
    return leftOut === undefined || page.length === 0 ? new Map() : leftOut(operation, page);
  }

  /** Resolves when the log has every command of these items or has refused it for good. Returns how many it refused. */
  private async appendAll(running: RunningOperation, ordered: readonly BulkItem[]): Promise<number> {
    let open = ordered;
    let failed = 0;
    for (let retry = 1; open.length > 0; retry += 1) {
      if (retry > 1) await this.clock.sleep(delayBefore(standardRetry, retry - 1), running.signal);
      const ends = await Promise.allSettled(open.map((item) => this.append(running.operation, item)));
      const isOpen = ends.map((end) => end.status === 'rejected' && isPassing(end.reason));
      const refusals = ends.filter((end, at) => end.status === 'rejected' && !isOpen[at]) as PromiseRejectedResult[];
      for (const { reason } of refusals)
        log.error({ err: reason as unknown, operationId: running.operation.id }, 'a command cannot be appended');
      failed += refusals.length;
      open = open.filter((_, at) => isOpen[at]);
    }
    return failed;
  }

  /** Counts a wave whose items were ordered or left out. */
  private note(
    running: RunningOperation,
    wave: readonly BulkItem[],
    { done, failed, leftOut }: { done: number; failed: number; leftOut: ReadonlyMap<string, string> },
  ): void {
    const { kind } = this.options;
    items.inc({ kind, outcome: 'appended' }, done);
    items.inc({ kind, outcome: 'failed' }, failed);
    items.inc({ kind, outcome: 'leftOut' }, wave.length - done - failed);
    const { progress } = running;
    const reasons = { ...progress.leftOut };
    for (const { subject } of wave) {
      const code = leftOut.get(subject);
      if (code !== undefined) reasons[code] = (reasons[code] ?? 0) + 1;
    }
    const { at, place, key } = wave.at(-1)!;
    running.progress = { position: { at, place, key }, done: progress.done + done, failed: progress.failed + failed, leftOut: reasons };
  }

  private async append(operation: BulkOperation, item: BulkItem): Promise<void> {
    const { tenant, id, actor } = operation;
    const command = {
      tenant,
      customer: item.customer,
      commandId: commandId(tenant, id, 'item', item.key),
      actor,
      at: wallTime().toISOString(),
    };
    await this.options.append(command, item, operation);
  }

  private async end({ operation }: RunningOperation, failure?: { code: string; message: string }): Promise<void> {
    const ended = await this.table.finish(operation, failure);
    if (ended) operations.inc({ kind: this.options.kind, state: failure === undefined ? 'completed' : 'failed' });
  }

  private async renew(held: readonly BulkOperation[]): Promise<readonly BulkOperation[]> {
    const renewed = await this.table.renew(held, this.options.leaseMs);
    return held.filter(({ id }) => renewed.has(id));
  }
}

function isPassing(error: unknown): error is DomainError {
  return error instanceof DomainError && error.outcome === 'retry';
}
