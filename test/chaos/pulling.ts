import type { PromiseViolation } from './checker.js';
import { chaosTenant } from './documents.js';
import { entries, entryAt } from './entry-list.js';
import type { EventOnLog } from './log-reader.js';
import { readRows } from './rows.js';

/** The flow that runs on the events of the pull. */
const listing = 'listing';

/** An entry as Postgres has it: how many completed runs its event has. */
export interface StoredEntry {
  readonly id: string;
  readonly completedRuns: number;
}

/** Added to the operations of the connector of the desk. */
export const listEntries = {
  summary: 'Read entries.',
  effect: 'read',
  input: { type: 'object' },
  output: { type: 'array' },
  request: { method: 'GET', path: '/entries', query: { after: 'input.after' } },
  paging: { kind: 'cursor', param: 'cursor', items: 'response.body.entries', next: 'response.body.next' },
};

export function pullDocuments(): object[] {
  const of = (kind: string, name: string, spec: object): object => ({
    apiVersion: 'millrace/v1',
    kind,
    metadata: { tenant: chaosTenant, name },
    spec,
  });
  return [
    of('Pull', entries, {
      connection: 'desk',
      operation: 'listEntries',
      input: '{ "after": since }',
      eventId: 'item.id',
      customer: 'item.customer',
      type: '"entry.made"',
      cursor: { value: 'item.sequence', start: 0 },
      everyMs: 1_000,
      rate: { pagesPerSecond: 50, itemsPerSecond: 10_000 },
    }),
    of('Flow', listing, { on: { sources: [entries] }, steps: [{ id: 'note', map: { expression: 'event.data.sequence' } }] }),
  ];
}

export function readEntries(databaseUrl: string): Promise<StoredEntry[]> {
  return readRows(
    databaseUrl,
    `SELECT provider_event_id AS id,
       (SELECT count(*)::float8 FROM run WHERE run.tenant_id = event.tenant_id AND run.event_id = event.id AND state = 'completed') AS "completedRuns"
     FROM event WHERE tenant_id = $1 AND source = $2`,
    [chaosTenant, entries],
  );
}

/**
 * Every entry of the list is one event with one completed run, and the events of a customer are on the log in the order of the list. A page that was
 * appended again because its process ended is no second event: its records are behind the first ones and have their ids.
 */
export function checkEntries(length: number, stored: readonly StoredEntry[], onLog: readonly EventOnLog[]): PromiseViolation[] {
  const byId = Map.groupBy(stored, ({ id }) => id);
  const expected = Array.from({ length }, (_, at) => entryAt(at + 1).id);
  return [
    ...expected.flatMap((id): PromiseViolation[] => {
      const [first, ...others] = byId.get(id) ?? [];
      if (first === undefined) return [{ kind: 'lost', ticket: id, what: 'an entry of the list is no event in Postgres' }];
      if (others.length > 0) return [{ kind: 'second effect', ticket: id, what: 'an entry of the list is two events' }];
      if (first.completedRuns === 1) return [];
      return first.completedRuns === 0
        ? [{ kind: 'lost', ticket: id, what: 'no run of the event of an entry is completed' }]
        : [{ kind: 'second effect', ticket: id, what: 'more than one run of the event of an entry is completed' }];
    }),
    ...[...byId.keys()]
      .filter((id) => !expected.includes(id))
      .map((id) => ({ kind: 'phantom' as const, ticket: id, what: 'there is an event of an entry that the list never had' })),
    ...disorder(onLog),
  ];
}

function disorder(onLog: readonly EventOnLog[]): PromiseViolation[] {
  const last = new Map<string, number>();
  const seen = new Set<string>();
  return onLog
    .toSorted((one, other) => one.partition - other.partition || one.offset - other.offset)
    .filter(({ ticket }) => !seen.has(ticket) && seen.add(ticket))
    .flatMap(({ customer, ticket }): PromiseViolation[] => {
      const sequence = Number(ticket.replace('entry-', ''));
      const before = last.get(customer) ?? 0;
      last.set(customer, Math.max(before, sequence));
      if (sequence > before) return [];
      return [{ kind: 'order', ticket, what: `it is on the log behind entry-${before} of the same customer` }];
    });
}
