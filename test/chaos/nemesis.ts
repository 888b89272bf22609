import { setTimeout as pause } from 'node:timers/promises';
import type { PlannedFault } from './fault-plan.js';
import type { History } from './history.js';
import type { StrickenRedis } from './caching.js';
import type { Desk } from './desk.js';
import type { Sink } from './sink.js';
import type { System } from './system.js';

type Of<K extends PlannedFault['kind']> = Extract<PlannedFault, { kind: K }>;

/** Injects the planned faults. Faults overlap, but not at the same target: the later one is left out. */
export class Nemesis {
  private readonly busy = new Set<string>();
  private readonly open = new Set<Promise<void>>();
  private readonly ended = new AbortController();

  constructor(
    private readonly system: System,
    private readonly peers: { readonly sink: Sink; readonly desk: Desk; readonly redis: StrickenRedis | undefined },
    private readonly history: History,
    private readonly tell: (line: string) => void,
  ) {}

  /** Resolves when the last fault has healed. */
  async carryOut(plan: readonly PlannedFault[]): Promise<void> {
    const startedAt = this.history.now();
    for (const fault of plan) {
      await pause(Math.max(0, startedAt + fault.at - this.history.now()), undefined, { signal: this.ended.signal });
      const struck = this.strike(fault).finally(() => this.open.delete(struck));
      this.open.add(struck);
    }
    await Promise.all(this.open);
  }

  stop(): void {
    this.ended.abort();
  }

  private async strike(fault: PlannedFault): Promise<void> {
    const target = targetOf(fault);
    if (this.busy.has(target)) return this.tell(`(${describe(fault)}: left out, it is struck already)`);
    this.busy.add(target);
    const at = this.history.now();
    this.tell(describe(fault));
    try {
      await this.act(fault);
    } finally {
      this.busy.delete(target);
    }
    const kills = ['kill', 'broker', 'postgres'].includes(fault.kind) || (fault.kind === 'redis' && fault.how === 'kill') ? 1 : 0;
    this.history.faults.push({ kind: fault.kind, what: describe(fault), at, healedAt: this.history.now(), kills });
  }

  private async act(fault: PlannedFault): Promise<void> {
    if (fault.kind === 'kill') await this.kill(fault);
    else if (fault.kind === 'pause') await this.pause(fault);
    else if (fault.kind === 'broker') await this.system.log.restart(fault.forMs);
    else if (fault.kind === 'postgres') await this.endPostgres(fault);
    else if (fault.kind === 'worker') await this.changeWorkers(fault);
    else if (fault.kind === 'sink' || fault.kind === 'desk') await this.breakPeer(fault);
    else if (fault.kind === 'redis') await this.strikeRedis(fault);
    else await this.breakModel(fault);
  }

  private async kill({ target, forMs }: Of<'kill'>): Promise<void> {
    const service = this.system.named(target);
    await service.kill();
    await pause(forMs);
    service.up();
    await service.ready();
  }

  private async pause({ target, forMs }: Of<'pause'>): Promise<void> {
    const service = this.system.named(target);
    service.pause();
    await pause(forMs);
    service.resume();
  }

  private async endPostgres({ signal, forMs }: Of<'postgres'>): Promise<void> {
    await this.system.postgres.end(signal);
    await pause(forMs);
    await this.system.postgres.start();
  }

  private async changeWorkers({ target, change, forMs }: Of<'worker'>): Promise<void> {
    const worker = this.system.named(target);
    if (change === 'add') worker.up();
    else await worker.stop();
    await pause(forMs);
    if (change === 'add') return void (await worker.stop());
    worker.up();
    await worker.ready();
  }

  private async breakPeer({ kind, how, share, forMs }: Of<'sink' | 'desk'>): Promise<void> {
    const peer = this.peers[kind];
    peer.fail({ how, share });
    await pause(forMs);
    peer.heal();
  }

  private async strikeRedis({ how, forMs }: Of<'redis'>): Promise<void> {
    const redis = this.peers.redis!; // a run has one if this kind of fault was asked for
    await redis.strike(how);
    await pause(forMs);
    await redis.heal(how);
  }

  /** Does nothing if the model is down at that moment. */
  private async breakModel({ how, forMs }: Of<'model'>): Promise<void> {
    const faults = `${this.system.model}/faults`;
    const rule = ruleOf(how);
    const body = JSON.stringify([rule]);
    await fetch(faults, { method: 'POST', headers: { 'content-type': 'application/json' }, body }).catch(() => undefined);
    await pause(forMs);
    await fetch(faults, { method: 'DELETE' }).catch(() => undefined); // a model that was killed has forgotten its faults
  }
}

function ruleOf(how: Of<'model'>['how']): object {
  if (how === 'delay') return { fault: 'delay', delayMs: 1_500 };
  if (how === 'hang' || how === 'brokenJson') return { fault: how };
  return { fault: 'status', status: Number(how), ...(how === '429' ? { retryAfterSeconds: 1 } : {}) };
}

/** The target of a fault, which only one fault strikes at a time. */
function targetOf(fault: PlannedFault): string {
  if (fault.kind === 'model') return 'local-model';
  return 'target' in fault ? fault.target : fault.kind;
}

function describe(fault: PlannedFault): string {
  const seconds = `${(fault.forMs / 1_000).toFixed(1)} s`;
  switch (fault.kind) {
    case 'kill':
      return `kill -9 ${fault.target}, up again after ${seconds}`;
    case 'pause':
      return `SIGSTOP ${fault.target} for ${seconds}`;
    case 'broker':
      return `kill -9 the broker, up again after ${seconds}`;
    case 'postgres':
      return `${fault.signal} to Postgres, up again after ${seconds}`;
    case 'worker':
      return fault.change === 'add' ? `${fault.target} joins for ${seconds}` : `${fault.target} leaves for ${seconds}`;
    case 'sink':
    case 'desk':
      return `the ${fault.kind} answers ${fault.how} to ${fault.share === 1 ? 'everybody' : `${fault.share * 100} % of the customers`} for ${seconds}`;
    case 'redis':
      return fault.how === 'kill' ? `kill -9 Redis, up again and empty after ${seconds}` : `SIGSTOP Redis for ${seconds}`;
    default:
      return `the model answers ${fault.how} for ${seconds}`;
  }
}
