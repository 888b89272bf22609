import { startRedis } from '#libs/testing';
import type { RedisServer } from '#libs/testing';
import { acknowledged } from './checker.js';
import type { PromiseViolation } from './checker.js';
import { chaosTenant, infer } from './documents.js';
import { idOf } from './history.js';
import type { History } from './history.js';
import { readRows } from './rows.js';

/** The flow that asks a model with a cache and limits, which the processes share over Redis where the run has one. */
const caching = 'caching';
const provider = 'limited';

/** @param model the address of a model API */
export function cachingDocuments(model: string): object[] {
  const head = { apiVersion: 'millrace/v1' };
  const named = (name: string) => ({ tenant: chaosTenant, name });
  // Few messages are sent, so most outputs are in a cache; the time is short, so that Redis is asked throughout the run.
  const asking = { ...infer, provider, cache: { ttlMs: 2_000 } };
  return [
    { ...head, kind: 'ModelProvider', metadata: named(provider), spec: { baseUrl: model, limits: { requestsPerMinute: 6_000 } } },
    {
      ...head,
      kind: 'Flow',
      metadata: named(caching),
      spec: {
        on: { sources: ['partner'] },
        steps: [{ id: 'assess', infer: asking }],
        decision: '{ "message": event.data.data.message, "topic": steps.assess.topic }',
      },
    },
  ];
}

/** The Redis of a run. As a fault it is killed, and comes back empty, or stands still. */
export class StrickenRedis {
  private constructor(private readonly server: RedisServer) {}

  static async start(): Promise<StrickenRedis> {
    return new StrickenRedis(await startRedis());
  }

  get url(): string {
    return this.server.url;
  }

  async strike(how: 'kill' | 'hang'): Promise<void> {
    if (how === 'kill') await this.server.stop();
    else this.server.pause();
  }

  async heal(how: 'kill' | 'hang'): Promise<void> {
    if (how === 'kill') await this.server.restart();
    else this.server.resume();
  }

  stop(): Promise<void> {
    return this.server.stop();
  }
}

/** A run of the flow. */
export interface CachedRun {
  readonly ticket: string;
  readonly state: string;
  readonly decision: { readonly message: string; readonly topic: string } | null;
  /** False: its output came from a cache. */
  readonly hasAsked: boolean;
}

export function readCached(databaseUrl: string): Promise<CachedRun[]> {
  return readRows(
    databaseUrl,
    `SELECT event.provider_event_id AS ticket, run.state, run.decision, EXISTS (
       SELECT FROM model_attempt AS attempt WHERE attempt.tenant_id = run.tenant_id AND attempt.run_id = run.id) AS "hasAsked"
     FROM run JOIN event ON event.tenant_id = run.tenant_id AND event.id = run.event_id
     WHERE run.tenant_id = $1 AND run.flow = $2`,
    [chaosTenant, caching],
  );
}

/** Every acknowledged event has its decision, and equal questions have equal ones, whichever cache their outputs came from. */
export function checkCached({ requests }: Pick<History, 'requests'>, runs: readonly CachedRun[]): PromiseViolation[] {
  const decided = new Map(runs.filter(({ state }) => state === 'completed').map((run) => [run.ticket, run]));
  const topics = new Map<string, string>();
  const lost = [...acknowledged(requests).values()].map(idOf).filter((ticket) => !decided.has(ticket));
  return [
    ...lost.map((ticket): PromiseViolation => ({ kind: 'lost', ticket, what: `it has no completed run of ${caching}` })),
    ...[...decided.values()].flatMap(({ ticket, decision }): PromiseViolation[] => {
      const { message, topic } = decision!;
      const known = topics.get(message) ?? topic;
      topics.set(message, known);
      return known === topic ? [] : [{ kind: 'cache', ticket, what: `it was decided as ${topic}, and an equal question as ${known}` }];
    }),
  ];
}
