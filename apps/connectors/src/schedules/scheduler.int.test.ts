import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { SecretBox } from '#libs/auth';
import { document as documentSchema } from '#libs/contracts';
import type { EventReceived, ScheduleDocument } from '#libs/contracts';
import type { EventAppender } from '#libs/intake';
import { LogUnavailable } from '#libs/messaging';
import { Database, DocumentTable, statement } from '#libs/persistence';
import type { Stored } from '#libs/persistence';
import { freshDatabase, uniqueName, waitFor } from '#libs/testing';
import type { FreshDatabase } from '#libs/testing';
import { ScheduleProgressTable } from './schedule-progress.table.js';
import { Scheduler } from './scheduler.js';

let fresh: FreshDatabase;
let database: Database;
let documents: DocumentTable;
beforeAll(async () => {
  fresh = await freshDatabase();
  database = await Database.connect({ url: fresh.url, role: 'millrace_service', applicationName: 'test' });
  documents = new DocumentTable(new SecretBox(Buffer.alloc(32)));
});
afterAll(async () => {
  await database.close();
  await fresh.close();
});

const dated = statement(
  'test.schedule.dated',
  `UPDATE document SET created_at = $3 WHERE tenant_id = $1 AND version = $2 AND kind = 'Schedule'`,
);
const counts = statement('test.schedule.counts', `SELECT fired, missed, last_event_id AS "lastEventId" FROM schedule WHERE tenant_id = $1`);
const leaseMs = 1_000;

/** The processes of one installation with one schedule, a log, and a clock that is moved by hand. */
class World {
  readonly tenant = uniqueName('t');
  /** The ids and instants of the events on the log, repeats included. */
  readonly log: { eventId: string; at: string }[] = [];
  now = Date.parse('2026-03-01T00:00:00Z');
  isLogAway = false;
  /** Calls that an append makes once the log has its events. */
  afterAppend: (() => Promise<void>) | undefined;
  private current: Stored<ScheduleDocument> | undefined;

  /** A new version, applied at the time of the clock. */
  async apply(spec: object): Promise<void> {
    const metadata = { tenant: this.tenant, name: 'nightly' };
    const whole = { apiVersion: 'millrace/v1', kind: 'Schedule', metadata, spec: { timeZone: 'UTC', event: { type: 'due' }, ...spec } };
    const document = documentSchema.parse(whole) as ScheduleDocument;
    const { version } = await documents.save(database, { document, actor: 'test' });
    await database.query(dated, [this.tenant, version, new Date(this.now)]);
    this.current = { tenant: this.tenant, kind: 'Schedule', name: 'nightly', version, document };
  }

  async remove(): Promise<void> {
    await documents.remove(database, { tenant: this.tenant, kind: 'Schedule', name: 'nightly', actor: 'test' });
    this.current = undefined;
  }

  process(table = new ScheduleProgressTable(database)): Scheduler {
    const configuration = {
      schedules: () => (this.current === undefined ? [] : [this.current]),
      ready: () => true,
      onRead: () => () => undefined,
    };
    const appender = { append: (events: readonly EventReceived[]) => this.append(events) } as unknown as EventAppender;
    return new Scheduler(configuration, table, appender, { leaseMs, nowMs: () => this.now });
  }

  private async append(events: readonly EventReceived[]): Promise<void> {
    if (this.isLogAway) throw new LogUnavailable('away');
    this.log.push(...events.map(({ eventId, occurredAt }) => ({ eventId, at: occurredAt })));
    await this.afterAppend?.();
  }

  async counts(): Promise<{ fired: number; missed: number; lastEventId: string | null }> {
    return (await database.query<{ fired: number; missed: number; lastEventId: string | null }>(counts, [this.tenant]))[0]!;
  }

  /** Moves the clock on in steps, and lets the processes look at each. */
  async run(processes: readonly Scheduler[], untilText: string, stepMs: number): Promise<void> {
    for (const until = Date.parse(untilText); this.now < until;) {
      this.now = Math.min(until, this.now + stepMs);
      await Promise.all(processes.map((process) => process.pass()));
    }
  }

  get instants(): string[] {
    return this.log.map(({ at }) => at.replace(':00.000Z', 'Z'));
  }
}

let world: World;
beforeEach(() => {
  world = new World();
});

test('each tick is one event over several processes, also where the clocks of New York change', async () => {
  world.now = Date.parse('2026-03-07T00:00:00Z');
  await world.apply({ cron: '30 2 * * *', timeZone: 'America/New_York', event: { type: 'digest.due', data: { n: 1 } } });
  await world.run([world.process(), world.process(), world.process()], '2026-03-10T00:00:00Z', 1_800_000);
  expect(world.instants).toEqual(['2026-03-07T07:30Z', '2026-03-08T07:00Z', '2026-03-09T06:30Z']);
  expect(await world.counts()).toEqual({ fired: 3, missed: 0, lastEventId: world.log.at(-1)!.eventId });
});

test('a process that ends between append and note leaves a tick that another one appends as the same event', async () => {
  await world.apply({ cron: '0 * * * *', catchUp: 'none' });
  const dying = new ScheduleProgressTable(database);
  dying.note = () => Promise.reject(new Error('killed'));
  dying.release = () => Promise.reject(new Error('killed'));
  const other = world.process();
  await world.run([world.process(dying)], '2026-03-01T01:00:00Z', 1_800_000);
  expect(world.instants).toEqual(['2026-03-01T01:00Z']);
  await other.pass();
  expect(world.instants).toHaveLength(1); // the claim of the one that ended still holds
  await waitFor(
    async () => {
      await world.process().pass(); // one that looks at once
      return world.log.length === 2;
    },
    { what: 'the other process fires' },
  );
  expect(world.log[1]).toEqual(world.log[0]);
  expect(await world.counts()).toMatchObject({ fired: 1, missed: 0 });
});

test('a process whose claim is taken over while it appends notes nothing, and the tick counts once', async () => {
  await world.apply({ cron: '0 * * * *' });
  const slow = world.process();
  await slow.pass();
  world.now = Date.parse('2026-03-01T01:00:00Z');
  const appended = Promise.withResolvers<void>();
  const goOn = Promise.withResolvers<void>();
  world.afterAppend = () => {
    world.afterAppend = undefined;
    appended.resolve();
    return goOn.promise;
  };
  const late = slow.pass();
  await appended.promise;
  await waitFor(
    async () => {
      await world.process().pass();
      return (await world.counts()).fired === 1;
    },
    { what: 'the claim ends and the other one notes' },
  );
  goOn.resolve();
  await late;
  expect(await world.counts()).toMatchObject({ fired: 1 });
  expect(new Set(world.log.map(({ eventId }) => eventId)).size).toBe(1);
});

test('while the log is away a tick waits, and is fired when the log is back', async () => {
  await world.apply({ cron: '0 1 * * *', catchUp: 'none' });
  const process = world.process();
  await process.pass();
  world.isLogAway = true;
  await world.run([process], '2026-03-01T01:00:30Z', 1_800_000);
  expect(process.overdueMs).toBe(30_000);
  world.isLogAway = false;
  await world.run([process], '2026-03-01T01:00:45Z', 5_000);
  expect(world.instants).toEqual(['2026-03-01T01:00Z']);
  expect(process.overdueMs).toBe(0);
});

describe('after a downtime', () => {
  test.each([
    ['none', [], 3],
    ['latest', ['2026-03-01T03:00Z'], 2],
    ['all', ['2026-03-01T01:00Z', '2026-03-01T02:00Z', '2026-03-01T03:00Z'], 0],
  ] as const)('the policy %s fires %j', async (catchUp, fired, missed) => {
    await world.apply({ cron: '0 * * * *', catchUp });
    await world.process().pass();
    world.now = Date.parse('2026-03-01T03:30:00Z');
    await Promise.all([world.process().pass(), world.process().pass()]);
    expect(world.instants).toEqual(fired);
    expect(await world.counts()).toMatchObject({ fired: fired.length, missed });
    await world.run([world.process()], '2026-03-01T04:00:00Z', 600_000);
    expect(world.instants).toEqual([...fired, '2026-03-01T04:00Z']);
  });

  test('a schedule whose data changed meanwhile still makes up for what it missed, and fires no tick again', async () => {
    await world.apply({ cron: '0 * * * *', catchUp: 'all' });
    await world.run([world.process()], '2026-03-01T01:00:00Z', 600_000);
    world.now = Date.parse('2026-03-01T03:30:00Z');
    await world.apply({ cron: '0 * * * *', catchUp: 'all', event: { type: 'due', data: { changed: true } } });
    await world.process().pass();
    expect(world.instants).toEqual(['2026-03-01T01:00Z', '2026-03-01T02:00Z', '2026-03-01T03:00Z']);
  });

  test.each(['with other times', 'after it was removed'])('a schedule that is applied %s begins anew', async (how) => {
    await world.apply({ cron: '0 * * * *', catchUp: 'all' });
    await world.process().pass();
    world.now = Date.parse('2026-03-01T03:30:00Z');
    if (how === 'after it was removed') await world.remove();
    await world.apply({ cron: how === 'with other times' ? '*/20 * * * *' : '0 * * * *', catchUp: 'all', event: { type: 'new' } });
    await world.run([world.process()], '2026-03-01T04:00:00Z', 600_000);
    expect(world.instants).toEqual(how === 'with other times' ? ['2026-03-01T03:40Z', '2026-03-01T04:00Z'] : ['2026-03-01T04:00Z']);
  });
});

test('an event says what its schedule says, and belongs to the schedule where no customer is given', async () => {
  await world.apply({ cron: '0 * * * *', event: { type: 'digest.due', data: { to: 'sales' } } });
  const seen: EventReceived[] = [];
  const process = world.process();
  (process as unknown as { appender: { append: (events: EventReceived[]) => Promise<void> } }).appender.append = async (events) =>
    void seen.push(...events);
  await world.run([process], '2026-03-01T01:00:00Z', 1_800_000);
  expect(seen).toMatchObject([
    {
      source: 'nightly',
      customer: '-/nightly',
      lane: 'normal',
      type: 'digest.due',
      providerEventId: 'schedule:nightly:2026-03-01T01:00:00.000Z',
      occurredAt: '2026-03-01T01:00:00.000Z',
      contentType: 'application/json',
      body: '{"to":"sales"}',
    },
  ]);
});

test('a removed schedule fires no more, and its row is forgotten', async () => {
  await world.apply({ cron: '0 * * * *' });
  const process = world.process();
  await process.pass();
  await world.remove();
  await world.run([process], '2026-03-01T02:00:00Z', 1_800_000);
  expect(world.log).toEqual([]);
  await new ScheduleProgressTable(database).forgetRemoved();
  expect(await world.counts()).toBeUndefined();
});
