import { afterEach, describe, expect, test } from 'vitest';
import type { Subscription, TenantDatabase } from '#libs/persistence';
import { StorageUnavailable } from '#libs/persistence';
import { ReviewChanges } from './review.changes.js';
import type { ReviewChangeRow, ReviewRow } from './review.operations.js';
import type { ReviewTable } from './review.table.js';

const review = { id: 'rev_1', flow: 'triage', customer: 'c-1', priority: 0, escalatedAt: null } as ReviewRow;
const changed = { change: 'claimed', at: new Date(0), review };
const unavailable = (): Promise<never> => Promise.reject(new StorageUnavailable(new Error('away')));

/** Postgres as the subscriptions see it: it tells nothing by itself, and its reads answer as they are told to. */
class Postgres {
  tell: (payload: string) => void = () => undefined;
  lose: () => void = () => undefined;
  /** True: the first try to listen fails, and it is tried again in the background. */
  isAwayAtFirst = false;
  readonly reads: Partial<Record<'byIds' | 'changedSince', () => Promise<unknown>>>[] = [];
  readonly readSince: string[] = [];

  readonly database = {
    listen: (_channel: string, onNotice: (payload: string) => void, onLost: () => void): Promise<Subscription> => {
      [this.tell, this.lose] = [onNotice, onLost];
      if (!this.isAwayAtFirst) onNotice('');
      return Promise.resolve({ close: () => Promise.resolve() });
    },
  } as unknown as TenantDatabase;

  readonly table = {
    byIds: () => this.reads.shift()?.byIds?.() ?? Promise.resolve([review]),
    changedSince: (tenant: string) => {
      this.readSince.push(tenant);
      return this.reads.shift()?.changedSince?.() ?? Promise.resolve([changed]);
    },
  } as unknown as ReviewTable;
}

const open: ReviewChanges[] = [];
afterEach(() => Promise.all(open.splice(0).map((changes) => changes.onApplicationShutdown())));

async function subscribe(postgres: Postgres): Promise<() => Promise<unknown>> {
  const changes = new ReviewChanges(postgres.database, postgres.table);
  open.push(changes);
  const subscription = changes.subscribe('acme', {});
  await new Promise(setImmediate);
  return async () => ((await subscription.next()).value as ReviewChangeRow[]).map(({ change, review: { id } }) => `${change} ${id}`);
}

describe('a subscriber gets every change, also', () => {
  test('what changed until Postgres could be listened to at all', async () => {
    const postgres = new Postgres();
    postgres.isAwayAtFirst = true;
    const next = await subscribe(postgres);
    postgres.tell('');
    expect(await next()).toEqual(['claimed rev_1']);
  });

  test('what changed while the connection was broken, if the read after it fails at first', async () => {
    const postgres = new Postgres();
    const next = await subscribe(postgres);
    postgres.lose();
    postgres.reads.push({ changedSince: unavailable }, { changedSince: unavailable });
    postgres.tell('');
    expect(await next()).toEqual(['claimed rev_1']);
    expect(postgres.readSince).toHaveLength(3);
  });

  test('one that was told and could not be read', async () => {
    const postgres = new Postgres();
    const next = await subscribe(postgres);
    postgres.reads.push({ byIds: unavailable });
    postgres.tell('acme/rev_1/claimed/0');
    expect(await next()).toEqual(['claimed rev_1']);
    expect(postgres.readSince).toEqual(['acme']);
  });
});

test('nothing is read for a subscriber whose connection has held', async () => {
  const postgres = new Postgres();
  const next = await subscribe(postgres);
  postgres.tell('acme/rev_1/decided/0');
  expect(await next()).toEqual(['decided rev_1']);
  expect(postgres.readSince).toEqual([]);
});
