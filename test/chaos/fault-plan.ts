import { SeededRandom } from '#libs/testing';
import type { InjectedKind } from './options.js';
import type { PeerFault } from './failing-peer.js';

/** A fault to inject. All its properties are drawn before the run, so a seed determines the plan. `at` and `forMs` are ms. */
export type PlannedFault = { readonly at: number; readonly forMs: number } & (
  | { readonly kind: 'kill'; readonly target: string }
  | { readonly kind: 'pause'; readonly target: string }
  | { readonly kind: 'broker' }
  | { readonly kind: 'postgres'; readonly signal: 'SIGKILL' | 'SIGQUIT' }
  | { readonly kind: 'worker'; readonly target: string; readonly change: 'add' | 'remove' }
  | { readonly kind: 'sink'; readonly how: PeerFault['how']; readonly share: number }
  | { readonly kind: 'desk'; readonly how: PeerFault['how']; readonly share: number }
  | { readonly kind: 'redis'; readonly how: 'kill' | 'hang' }
  | { readonly kind: 'model'; readonly how: 'hang' | '500' | '503' | '429' | 'brokenJson' | 'delay' }
);

export interface FaultPlanOptions {
  readonly seed: number;
  readonly kinds: readonly InjectedKind[];
  readonly durationMs: number;
}

const killTargets = ['ingestion', 'query', 'local-model', 'ai-processing-1', 'ai-processing-2', 'connectors-1', 'connectors-2'];
/** Consumers hold partitions and claims, so pausing one makes a zombie. */
const pauseTargets = ['ai-processing-1', 'ai-processing-2', 'connectors-1', 'connectors-2', 'ingestion'];
const firstAfterMs = 5_000;
const gapMs = [4_000, 11_000] as const;
/** No fault begins in the last part of a run. */
const lastBeforeEndMs = 8_000;
/** The shortest run that has room for a fault. */
const shortestMinutes = 0.25;

/**
 * Each kind is drawn before any is drawn again, service kills twice as often as the others. Target processes are drawn the same way.
 * @throws Error if the run is too short for any fault
 */
export function planFaults({ seed, kinds, durationMs }: FaultPlanOptions): PlannedFault[] {
  const random = new SeededRandom(seed);
  const nextKind = takingTurns(random, kinds.includes('kill') ? [...kinds, 'kill' as const] : kinds);
  const draw = drawing(random);
  const plan: PlannedFault[] = [];
  if (kinds.length === 0) return plan;
  if (durationMs < shortestMinutes * 60_000) {
    throw new Error(`${durationMs / 60_000} minutes have no room for a fault: at least ${shortestMinutes}, or --faults none`);
  }
  for (let at = firstAfterMs; at < durationMs - lastBeforeEndMs; at += random.between(...gapMs))
    plan.push(draw[nextKind()](Math.round(at)));
  return plan;
}

function takingTurns<T>(random: SeededRandom, items: readonly T[]): () => T {
  let bag: T[] = [];
  return () => {
    if (bag.length === 0) bag = random.shuffled(items);
    return bag.pop()!;
  };
}

function drawing(random: SeededRandom): Record<InjectedKind, (at: number) => PlannedFault> {
  const killed = takingTurns(random, killTargets);
  const paused = takingTurns(random, pauseTargets);
  const workers = takingTurns(random, [
    ['ai-processing-3', 'add'],
    ['connectors-3', 'add'],
    ['ai-processing-2', 'remove'],
    ['connectors-2', 'remove'],
  ] as const);
  const sinkFaults = takingTurns(random, ['lost answers', 'hang', 'reset', 500, 503, 429] as const);
  const deskFaults = takingTurns(random, ['lost answers', 'hang', 'reset', 500, 503, 429] as const);
  const modelFaults = takingTurns(random, ['hang', '500', '503', '429', 'brokenJson', 'delay'] as const);
  const redisFaults = takingTurns(random, ['kill', 'hang'] as const);
  const ms = (min: number, max: number): number => Math.round(random.between(min, max));
  return {
    kill: (at) => ({ kind: 'kill', at, forMs: ms(200, 3_000), target: killed() }),
    pause: (at) => ({ kind: 'pause', at, forMs: ms(2_000, 14_000), target: paused() }),
    broker: (at) => ({ kind: 'broker', at, forMs: ms(200, 4_000) }),
    postgres: (at) => ({ kind: 'postgres', at, forMs: ms(200, 4_000), signal: random.pick(['SIGKILL', 'SIGQUIT']) }),
    worker: (at) => {
      const [target, change] = workers();
      return { kind: 'worker', at, forMs: ms(4_000, 15_000), target, change };
    },
    sink: (at) => ({ kind: 'sink', at, forMs: ms(2_000, 10_000), how: sinkFaults(), share: random.pick([1, 1, 0.3]) }),
    desk: (at) => ({ kind: 'desk', at, forMs: ms(2_000, 8_000), how: deskFaults(), share: 1 }),
    redis: (at) => ({ kind: 'redis', at, forMs: ms(2_000, 8_000), how: redisFaults() }),
    model: (at) => ({ kind: 'model', at, forMs: ms(2_000, 8_000), how: modelFaults() }),
  };
}
