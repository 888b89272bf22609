import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { deadLetterId, newRunId } from '#libs/contracts';
import type { DeadLettered, DeliveryRecovered } from '#libs/contracts';
import { HoldTable } from '#libs/holds';
import type { RecordContext } from '#libs/messaging';
import { Database, statement } from '#libs/persistence';
import { freshDatabase, uniqueName } from '#libs/testing';
import type { FreshDatabase } from '#libs/testing';
import { EventStore } from '../events/event.store.js';
import type { RunService } from '../runs/run.service.js';
import { RunProgressStore } from '../runs/run.progress.store.js';
import type { RunEnd } from '../runs/run.progress.store.js';
import { RunStore } from '../runs/run.store.js';
import type { PlannedRun } from '../runs/run.store.js';
import { DeadLetterConsumer } from './dead-letter.consumer.js';
import { DeadLetterStore } from './dead-letter.store.js';

let fresh: FreshDatabase;
let database: Database;
let store: DeadLetterStore;
let consumer: DeadLetterConsumer;
/** No dead letter of these tests has a retry that has not ended. */
const noRuns = { cancelRun: () => Promise.reject(new Error('a run was to be cancelled')) } as unknown as RunService;
const context = {} as RecordContext;

beforeAll(async () => {
  fresh = await freshDatabase();
  database = await Database.connect({ url: fresh.url, role: 'millrace_service', applicationName: 'test' });
  store = new DeadLetterStore(database);
  consumer = new DeadLetterConsumer(store, new HoldTable(database), new EventStore(database), noRuns);
});
afterAll(async () => {
  await database.close();
  await fresh.close();
});

const all = statement(
  'test.dead-letters',
  'SELECT code, message, resolved_at IS NOT NULL AS resolved, resolution FROM dead_letter WHERE tenant_id = $1',
);
const letters = (tenant: string) => database.query<Record<string, unknown>>(all, [tenant]);
const refused: RunEnd = { state: 'failed', code: 'model.refused', message: 'no' };
const decided: RunEnd = { state: 'completed', decision: null, deliveries: [] };
const second = (at: number): string => `2026-11-21T10:00:0${at}.000Z`;

const planned = (tenant: string, flow: string, generation: number): PlannedRun => {
  return { tenant, id: newRunId(), eventId: 'evt_1', customer: 'c', flow, flowVersion: 1, generation, commandId: null };
};

const parked = (tenant: string, at: number, more: Partial<DeadLettered> = {}): DeadLettered => ({
  tenant,
  customer: 'c',
  deadLetterId: deadLetterId(tenant, 'delivery', 'dlv_1'),
  kind: 'delivery',
  code: 'delivery.refused',
  message: 'no',
  eventId: 'evt_1',
  runId: 'run_1',
  deliveryId: 'dlv_1',
  position: null,
  valueBase64: null,
  at: second(at),
  ...more,
});
const delivered = (tenant: string, at: number): DeliveryRecovered => ({ tenant, customer: 'c', deliveryId: 'dlv_1', at: second(at) });

test('what is parked twice is one dead letter, resolved when it is delivered after all', async () => {
  const tenant = uniqueName('t');
  await consumer.onDeadLettered(parked(tenant, 1));
  await consumer.onDeadLettered(parked(tenant, 1));
  expect(await letters(tenant)).toEqual([{ code: 'delivery.refused', message: 'no', resolved: false, resolution: null }]);
  await consumer.onDeliveryRecovered(delivered(tenant, 2));
  expect(await letters(tenant)).toMatchObject([{ resolved: true, resolution: 'redelivered' }]);
});

test('an announcement that comes again does not open what was resolved; a later parking does, with its own reason', async () => {
  const tenant = uniqueName('t');
  await consumer.onDeadLettered(parked(tenant, 1));
  await consumer.onDeliveryRecovered(delivered(tenant, 2));
  await consumer.onDeadLettered(parked(tenant, 1));
  expect(await letters(tenant)).toMatchObject([{ resolved: true }]);
  await consumer.onDeadLettered(parked(tenant, 3, { code: 'delivery.destinationDisabled', message: 'gone\u0000' }));
  expect(await letters(tenant)).toEqual([
    { code: 'delivery.destinationDisabled', message: 'gone\ufffd', resolved: false, resolution: null },
  ]);
  await consumer.onDeliveryRecovered(delivered(tenant, 2));
  expect(await letters(tenant)).toMatchObject([{ resolved: false }]);
});

test('a later generation that completes resolves the failed run, an unrelated one does not', async () => {
  const tenant = uniqueName('t');
  const failed = planned(tenant, 'triage', 1);
  const byFastClock = 5;
  await new RunStore(database).claim([failed], null, 60_000);
  await consumer.onDeadLettered(
    parked(tenant, byFastClock, { kind: 'run', runId: failed.id, deadLetterId: deadLetterId(tenant, 'run', failed.id) }),
  );
  const completes = (flow: string, generation: number, eventId = 'evt_1') =>
    store.resolveEarlierRuns({ tenant, eventId, flow, generation, at: second(2) });
  await completes('other', 2);
  await completes('triage', 2, 'evt_2');
  await completes('triage', 1);
  expect(await letters(tenant)).toMatchObject([{ resolved: false }]);
  await completes('triage', 2);
  expect(await letters(tenant)).toMatchObject([{ resolved: true, resolution: 'replayed' }]);
});

describe('the dead letter of a run whose retry failed', () => {
  const runs = async (tenant: string, ends: readonly RunEnd[]): Promise<PlannedRun[]> => {
    const generations = ends.map((_, generation) => planned(tenant, 'triage', generation));
    const claimed = await new RunStore(database).claim(generations, null, 60_000);
    const ended = claimed.map((run) => ({ run, steps: [], calls: [], unanswered: 0, end: ends[run.generation]! }));
    await new RunProgressStore(database).write(ended, 60_000);
    return generations;
  };
  const letterOf = ({ tenant, id }: PlannedRun, at: number): DeadLettered =>
    parked(tenant, at, { kind: 'run', code: id, runId: id, deliveryId: null, deadLetterId: deadLetterId(tenant, 'run', id) });
  const byRun = async (tenant: string): Promise<Map<string, unknown>> =>
    new Map((await letters(tenant)).map(({ code, resolution }) => [code as string, resolution]));

  test('that is read after the one of the retry is superseded from the start', async () => {
    const tenant = uniqueName('t');
    const [first, retry, other] = [...(await runs(tenant, [refused, refused])), planned(tenant, 'other', 0)] as [
      PlannedRun,
      PlannedRun,
      PlannedRun,
    ];
    await new RunStore(database).claim([other], null, 60_000);
    await consumer.onDeadLettered(letterOf(other, 1));
    for (const letter of [letterOf(retry, 3), letterOf(first, 2), letterOf(retry, 3)]) await consumer.onDeadLettered(letter);
    const expected = new Map<string, unknown>([
      [first.id, 'superseded'],
      [retry.id, null],
      [other.id, null],
    ]);
    expect(await byRun(tenant)).toEqual(expected);
    expect(await store.openOf(tenant, [first.id])).toEqual(
      new Map([[first.id, { runId: retry.id, deadLetterId: letterOf(retry, 3).deadLetterId }]]),
    );
  });

  test('gives way to the one of the retry, and whoever waited for it waits for that', async () => {
    const tenant = uniqueName('t');
    const [first, retry] = (await runs(tenant, [refused, refused])) as [PlannedRun, PlannedRun];
    const holds = new HoldTable(database);
    const key = Buffer.from(`${tenant}/c`);
    const held = { topic: tenant, partition: 3, offset: 17, logId: 'log', timestampMs: 0, key, value: null, headers: undefined };
    await database.query(statement('test.running', `UPDATE run SET state = 'running' WHERE tenant_id = $1 AND id = $2`), [
      tenant,
      retry.id,
    ]);
    await consumer.onDeadLettered(letterOf(first, 1));
    await holds.hold('flows', held, { deadLetterId: letterOf(first, 1).deadLetterId });
    expect(await byRun(tenant)).toEqual(new Map([[first.id, null]]));
    await database.query(statement('test.failed', `UPDATE run SET state = 'failed' WHERE tenant_id = $1 AND id = $2`), [tenant, retry.id]);
    await consumer.onDeadLettered(letterOf(retry, 2));
    expect(await byRun(tenant)).toEqual(
      new Map<string, unknown>([
        [first.id, 'superseded'],
        [retry.id, null],
      ]),
    );
    expect(await holds.releasable('flows', [held])).toEqual([]);
    await consumer.onSkipDeadLetter(
      {
        tenant,
        customer: 'c',
        commandId: 'cmd_1',
        actor: 'operator',
        at: second(9),
        kind: 'run',
        deliveryId: null,
        deadLetterId: letterOf(retry, 2).deadLetterId,
      },
      context,
    );
    expect(await holds.releasable('flows', [held])).toHaveLength(1);
    expect(await store.openOf(tenant, [first.id])).toEqual(new Map());
  });

  test('stays open behind a retry that was cancelled', async () => {
    const tenant = uniqueName('t');
    const [first] = (await runs(tenant, [refused, { ...refused, code: 'run.cancelled' }])) as [PlannedRun];
    await consumer.onDeadLettered(letterOf(first, 1));
    expect(await byRun(tenant)).toEqual(new Map([[first.id, null]]));
  });
});

describe('where the log of dead letters is read after what put them right', () => {
  const deliver = (tenant: string, state: 'delivered' | 'parked') =>
    database.query(
      statement(
        'test.deadLetter.delivery',
        `INSERT INTO delivery (tenant_id, id, event_id, run_id, flow, generation, step, customer, destination, payload, state, retries_left,
           event_received_at, settled_at) VALUES ($1, 'dlv_1', 'evt_1', 'run_1', 'f', 0, 's', 'c', 'crm', '{}', $2, 0, now(), now())`,
      ),
      [tenant, state],
    );

  test('the dead letter of a delivery that has arrived meanwhile is resolved from the start', async () => {
    const [arrived, waiting] = [uniqueName('t'), uniqueName('t')];
    await deliver(arrived, 'delivered');
    await deliver(waiting, 'parked');
    for (const tenant of [arrived, waiting]) {
      await consumer.onDeliveryRecovered(delivered(tenant, 2));
      await consumer.onDeadLettered(parked(tenant, 1));
    }
    expect(await letters(arrived)).toMatchObject([{ resolved: true, resolution: 'redelivered' }]);
    expect(await letters(waiting)).toMatchObject([{ resolved: false }]);
  });

  test('a record about such a delivery that nobody could process stays open', async () => {
    const tenant = uniqueName('t');
    await deliver(tenant, 'delivered');
    await consumer.onDeadLettered(parked(tenant, 1, { kind: 'record' }));
    expect(await letters(tenant)).toMatchObject([{ resolved: false }]);
  });

  test('the dead letter of a run is resolved from the start where a later generation has completed', async () => {
    const tenant = uniqueName('t');
    const failed = [planned(tenant, 'triage', 0), planned(tenant, 'other', 0)] as const;
    const runs = [...failed, planned(tenant, 'triage', 1), planned(tenant, 'other', 1)];
    const claimed = await new RunStore(database).claim(runs, null, 60_000);
    const ends = claimed
      .filter(({ flow, generation }) => generation === 0 || flow === 'triage')
      .map((run) => ({ run, steps: [], calls: [], unanswered: 0, end: run.generation === 0 ? refused : decided }));
    await new RunProgressStore(database).write(ends, 60_000);
    for (const { id } of failed) {
      await consumer.onDeadLettered(
        parked(tenant, 1, { kind: 'run', code: id, runId: id, deliveryId: null, deadLetterId: deadLetterId(tenant, 'run', id) }),
      );
    }
    const found = await letters(tenant);
    expect(found).toContainEqual(expect.objectContaining({ code: failed[0].id, resolved: true, resolution: 'replayed' }));
    expect(found).toContainEqual(expect.objectContaining({ code: failed[1].id, resolved: false }));
  });
});

test('a record whose key and value nobody could read is kept with its position and bytes', async () => {
  const tenant = uniqueName('t');
  await consumer.onDeadLettered(
    parked(`${tenant}\u0000`, 1, {
      customer: 'c\u0000',
      deadLetterId: 'dlq_record',
      kind: 'record',
      eventId: null,
      runId: null,
      deliveryId: null,
      position: 'millrace.events.normal/3/17',
      valueBase64: Buffer.from([0xff, 0]).toString('base64'),
    }),
  );
  expect(await letters(`${tenant}\ufffd`)).toHaveLength(1);
});

describe('what an operator', () => {
  const command = (tenant: string) => ({
    tenant,
    customer: 'c',
    commandId: 'cmd_1',
    actor: 'operator',
    at: second(9),
    deadLetterId: 'dlq_record',
  });
  const record = (tenant: string, at: number) =>
    parked(tenant, at, { kind: 'record', deadLetterId: 'dlq_record', deliveryId: null, position: 'millrace.events.normal/3/17' });

  test('skips is resolved, and stays so however often the log brings the same record', async () => {
    const tenant = uniqueName('t');
    await consumer.onDeadLettered(record(tenant, 1));
    await consumer.onSkipDeadLetter({ ...command(tenant), kind: 'record', deliveryId: null }, context);
    await consumer.onDeadLettered({ ...record(tenant, 1), at: '2099-01-01T00:00:00.000Z' });
    expect(await letters(tenant)).toMatchObject([{ resolved: true, resolution: 'skipped' }]);
  });

  test('wants to have tried again is released, and not resolved before it succeeded', async () => {
    const tenant = uniqueName('t');
    const holds = new HoldTable(database);
    const key = Buffer.from(`${tenant}/c`);
    const held = { topic: tenant, partition: 3, offset: 17, logId: 'log', timestampMs: 0, key, value: null, headers: undefined };
    await consumer.onDeadLettered(record(tenant, 1));
    await holds.hold('flows', held, { deadLetterId: 'dlq_record' });
    expect(await holds.releasable('flows', [held])).toEqual([]);
    await consumer.onRetryDeadLetter(command(tenant));
    const [released] = await holds.releasable('flows', [held]);
    expect(await letters(tenant)).toMatchObject([{ resolved: false }]);
    await holds.finished(released!, held);
    expect(await letters(tenant)).toMatchObject([{ resolved: true, resolution: 'retried' }]);
  });
});
