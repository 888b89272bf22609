import type { Pool } from 'pg';
import { gauge } from '#libs/tracing';

interface MeasuredPool {
  readonly role: (typeof roles)[number];
  readonly pool: Pool;
}

const roles = ['millrace_service', 'millrace_query'] as const;
const open = new Set<MeasuredPool>();

gauge(
  'millrace_database_connections',
  'Connections to Postgres that this process has in its pools. LISTEN has one more for each channel.',
  { role: roles, state: ['busy', 'idle'] },
  (connections) => {
    for (const role of roles) {
      connections.set(
        { role, state: 'idle' },
        sumOf(role, ({ idleCount }) => idleCount),
      );
      connections.set(
        { role, state: 'busy' },
        sumOf(role, ({ idleCount, totalCount }) => totalCount - idleCount),
      );
    }
  },
);

gauge('millrace_database_waiting', 'Statements and transactions that wait for a connection of the pool.', { role: roles }, (waiting) => {
  for (const role of roles)
    waiting.set(
      { role },
      sumOf(role, ({ waitingCount }) => waitingCount),
    );
});

function sumOf(role: string, count: (pool: Pool) => number): number {
  return [...open].filter((one) => one.role === role).reduce((sum, { pool }) => sum + count(pool), 0);
}

/** Counts the connections of a pool until the function that it returns is called. */
export function measurePool(role: MeasuredPool['role'], pool: Pool): () => void {
  const measured = { role, pool };
  open.add(measured);
  return () => void open.delete(measured);
}
