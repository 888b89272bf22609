import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { cpus, setPriority } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { History } from './history.js';
import type { HostileOutcomes, HostileTargets } from './hostile-actions.js';
import type { HostileRequest } from './hostile-tenant.main.js';

/** Its machine is its own: what its client and its destinations cost takes nothing from the others. */
const niceness = 19;

/** The part of a time that the machine's cores were busy, in ms of processor time and of the time of all cores. */
export interface ProcessorUse {
  busyMs: number;
  allMs: number;
}

/** The tenant of {@link HostileActions}, in a process of its own. */
export class HostileTenant {
  /** Windows in which it acted, in ms since the run began. */
  readonly windows: { readonly from: number; to: number }[] = [];
  /** The machine in the windows beside it, and in those without it, whatever used it. */
  readonly machine = { beside: { busyMs: 0, allMs: 0 }, without: { busyMs: 0, allMs: 0 } } satisfies Record<string, ProcessorUse>;
  outcomes: HostileOutcomes['outcomes'] = [];
  accepted: HostileOutcomes['accepted'] = [];
  private turns: NodeJS.Timeout | undefined;
  private isActing = false;
  private before = processorUse();

  private constructor(
    private readonly history: History,
    private readonly child: ChildProcess,
    readonly documents: readonly object[],
  ) {}

  static async create(history: History, seed: number, only: readonly string[]): Promise<HostileTenant> {
    const child = fork(fileURLToPath(new URL('./hostile-tenant.main.js', import.meta.url)), [String(seed), ...only], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    setPriority(child.pid!, niceness);
    return new HostileTenant(history, child, await answerOf<object[]>(child));
  }

  /** Acts in every second window of `windowMs`, so that a busy machine affects the windows with and without it alike. */
  start({ doors, graphql, model }: HostileTargets, windowMs: number): void {
    this.before = processorUse();
    this.turns = setInterval(() => {
      if (this.isActing) return this.rest();
      this.note('without');
      this.isActing = true;
      this.windows.push({ from: this.history.now(), to: Infinity });
      this.send({ act: { doors, graphql, model } });
    }, windowMs);
  }

  /** Resolves when all its requests have an outcome. */
  async stop({ model }: HostileTargets): Promise<void> {
    clearInterval(this.turns);
    this.rest();
    const answered = answerOf<HostileOutcomes>(this.child);
    this.send({ finish: model });
    ({ outcomes: this.outcomes, accepted: this.accepted } = await answered);
  }

  close(): void {
    this.child.disconnect();
  }

  private rest(): void {
    if (!this.isActing) return;
    this.isActing = false;
    this.note('beside');
    this.windows.at(-1)!.to = this.history.now();
    this.send('rest');
  }

  private note(windows: 'beside' | 'without'): void {
    const now = processorUse();
    this.machine[windows].busyMs += now.busyMs - this.before.busyMs;
    this.machine[windows].allMs += now.allMs - this.before.allMs;
    this.before = now;
  }

  private send(request: HostileRequest): void {
    this.child.send(request);
  }
}

/** Since the machine began. */
function processorUse(): ProcessorUse {
  const all = cpus().map(({ times }) => times);
  const idleMs = all.reduce((sum, { idle }) => sum + idle, 0);
  const allMs = all.reduce((sum, { user, nice, sys, irq, idle }) => sum + user + nice + sys + irq + idle, 0);
  return { busyMs: allMs - idleMs, allMs };
}

async function answerOf<T>(child: ChildProcess): Promise<T> {
  const ended = once(child, 'exit').then(([status, signal]) => {
    throw new Error(`The process of the hostile tenant ended with ${status ?? signal}`);
  });
  const [answer] = (await Promise.race([once(child, 'message'), ended])) as [T];
  ended.catch(() => undefined);
  return answer;
}
