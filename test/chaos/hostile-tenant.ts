import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setPriority } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { History } from './history.js';
import type { HostileOutcomes, HostileTargets } from './hostile-actions.js';
import type { HostileRequest } from './hostile-tenant.main.js';

/** Its machine is its own: what its client and its destinations cost takes nothing from the others. */
const niceness = 19;

/** The tenant of {@link HostileActions}, in a process of its own. */
export class HostileTenant {
  /** Windows in which it acted, in ms since the run began. */
  readonly windows: { readonly from: number; to: number }[] = [];
  outcomes: HostileOutcomes['outcomes'] = [];
  accepted: HostileOutcomes['accepted'] = [];
  private turns: NodeJS.Timeout | undefined;
  private isActing = false;

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
    this.turns = setInterval(() => {
      if (this.isActing) return this.rest();
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
    this.windows.at(-1)!.to = this.history.now();
    this.send('rest');
  }

  private send(request: HostileRequest): void {
    this.child.send(request);
  }
}

async function answerOf<T>(child: ChildProcess): Promise<T> {
  const ended = once(child, 'exit').then(([status, signal]) => {
    throw new Error(`The process of the hostile tenant ended with ${status ?? signal}`);
  });
  const [answer] = (await Promise.race([once(child, 'message'), ended])) as [T];
  ended.catch(() => undefined);
  return answer;
}
