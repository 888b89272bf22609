import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { FireSchedule, eventId } from '#libs/contracts';
import { RecordProducer } from '#libs/messaging';
import { Database, statement } from '#libs/persistence';
import { uniqueName } from '#libs/testing';
import { QueryServer } from '../../../../test/query/query-server.js';

let server: QueryServer;
let database: Database;
beforeAll(async () => {
  server = await QueryServer.start();
  database = await Database.connect({ url: server.databaseUrl, role: 'millrace_service', applicationName: 'test' });
});
afterAll(async () => {
  await database.close();
  await server.stop();
});

const insertProgress = statement(
  'test.insertSchedule',
  `INSERT INTO schedule (tenant_id, name, document_version, timing, fired_through, last_tick_at, last_event_id, appended_at, fired, missed, last_missed_at)
   VALUES ($1, $2, 1, '', $3, $3, 'evt_1', $3, 7, 2, $3)`,
);

const document = (tenant: string, kind: string, name: string, spec: object) => ({
  apiVersion: 'millrace/v1',
  kind,
  metadata: kind === 'Tenant' ? { name } : { tenant, name },
  spec,
});
const nightly = { cron: '30 2 * * *', timeZone: 'Europe/Berlin', event: { type: 'digest.due' } };
const source = { scheme: 'api-key' };
const flowOn = (name: string) => ({ on: { sources: [name] }, steps: [{ id: 'note', map: { expression: 'event.type' } }] });

type Applied = {
  __typename: string;
  changes?: { kind: string; nextFires: string[] | null }[];
  violations?: { path: string[]; message: string }[];
};
async function apply(tenant: string, documents: object[], remove: object[] = []): Promise<Applied> {
  const mutation = `mutation ($documents: [JSON!]!, $remove: [DocumentName!]) { applyDocuments(input: { documents: $documents, remove: $remove }) {
    __typename ... on ApplyDocumentsSuccess { changes { kind nextFires } } ... on ValidationError { violations { path message } } } }`;
  return (await server.data<{ applyDocuments: Applied }>({ operatorIn: tenant }, mutation, { documents, remove })).applyDocuments;
}

async function tenantWith(...documents: [kind: string, name: string, spec: object][]): Promise<string> {
  const tenant = uniqueName('tenant');
  const whole = [['Tenant', tenant, { displayName: 'Acme' }] as const, ...documents].map(([kind, name, spec]) =>
    document(tenant, kind, name, spec),
  );
  expect(await apply(tenant, whole)).toMatchObject({ __typename: 'ApplyDocumentsSuccess' });
  return tenant;
}

const fields = 'name cron timeZone nextFires lastTickAt lastEventId overdueSince fired missed lastMissedAt';
const list = async (tenant: string) =>
  (await server.data<{ schedules: Record<string, unknown>[] }>({ operatorIn: tenant }, `{ schedules { ${fields} } }`)).schedules;

test('a schedule says when it fires next, what it fired last, and what it missed', async () => {
  const yearly = { cron: '0 0 1 1 *', timeZone: 'UTC', event: { type: 'year.begun' } };
  const tenant = await tenantWith(['Schedule', 'new', yearly], ['Schedule', 'old', nightly]);
  const firedAt = new Date(Date.now() - 3 * 86_400_000);
  await database.query(insertProgress, [tenant, 'old', firedAt]);
  const [unfired, fired] = await list(tenant);
  expect(unfired).toMatchObject({
    name: 'new',
    lastTickAt: null,
    lastEventId: null,
    overdueSince: null,
    fired: 0,
    missed: 0,
    lastMissedAt: null,
  });
  expect((unfired!['nextFires'] as string[]).map((at) => at.slice(4))).toEqual(Array.from({ length: 5 }, () => '-01-01T00:00:00.000Z'));
  expect(fired).toMatchObject({ name: 'old', cron: nightly.cron, timeZone: 'Europe/Berlin', lastEventId: 'evt_1', fired: 7, missed: 2 });
  expect(fired!['lastTickAt']).toBe(firedAt.toISOString());
  expect(Date.parse(fired!['overdueSince'] as string)).toBeGreaterThan(firedAt.getTime());
});

test('an apply says when a schedule fires next, and nothing of the kind for other documents', async () => {
  const tenant = await tenantWith();
  const { changes } = await apply(tenant, [
    document(tenant, 'Schedule', 'nightly', nightly),
    document(tenant, 'Schedule', 'over', { ...nightly, endsAt: '2020-01-01T00:00:00Z' }),
    document(tenant, 'Flow', 'digest', flowOn('nightly')),
  ]);
  expect(changes!.map(({ kind, nextFires }) => [kind, nextFires?.length])).toEqual([
    ['Schedule', 5],
    ['Schedule', 0],
    ['Flow', undefined],
  ]);
});

describe('the names of sources and schedules', () => {
  test('are one set: a flow says by the name alone which events it runs on', async () => {
    const tenant = await tenantWith(['Source', 'shop', source]);
    const message =
      'is the name of a Source, too: shop; an event says by the name alone where it came from, so choose another name or remove the Source with this apply';
    expect(await apply(tenant, [document(tenant, 'Schedule', 'shop', nightly)])).toEqual({
      __typename: 'ValidationError',
      violations: [{ path: ['input', 'documents', '0', 'metadata', 'name'], message }],
    });
  });

  test('may pass from one to the other in one apply, also while a flow names it', async () => {
    const tenant = await tenantWith(['Source', 'shop', source], ['Flow', 'digest', flowOn('shop')]);
    const remove = [{ kind: 'Source', name: 'shop' }];
    const other = document(tenant, 'Schedule', 'other', nightly);
    expect(await apply(tenant, [other], remove)).toMatchObject({ __typename: 'ValidationError' });
    expect(await apply(tenant, [document(tenant, 'Schedule', 'shop', nightly)], remove)).toMatchObject({
      __typename: 'ApplyDocumentsSuccess',
    });
  });

  test('are known to a flow, or refused', async () => {
    const tenant = await tenantWith();
    expect(await apply(tenant, [document(tenant, 'Flow', 'digest', flowOn('nightly'))])).toMatchObject({
      violations: [
        {
          path: ['input', 'documents', '0', 'spec', 'on', 'sources', '0'],
          message: 'names no source or schedule or pull of this tenant: nightly',
        },
      ],
    });
  });
});

describe('an event of a schedule that is asked for', () => {
  const mutation = `mutation ($name: String!, $key: String!) { fireSchedule(input: { name: $name, idempotencyKey: $key }) {
    __typename ... on FireScheduleSuccess { commandId eventId } ... on NotFoundError { code } } }`;
  type Fired = { fireSchedule: { __typename: string; commandId: string; eventId: string } };

  test('is ordered as a command, whose id is that of the event: the same key is the same event', async () => {
    const tenant = await tenantWith(['Schedule', 'nightly', nightly]);
    const append = vi.spyOn(RecordProducer.prototype, 'append');
    const key = uniqueName('key');
    const fire = () => server.data<Fired>({ operatorIn: tenant }, mutation, { name: 'nightly', key });
    const { fireSchedule: first } = await fire();
    expect((await fire()).fireSchedule).toEqual(first);
    const [topic, type, record] = append.mock.calls[0]!;
    append.mockRestore();
    expect([topic.name, type]).toEqual(['commands', FireSchedule]);
    expect(record).toMatchObject({ tenant, customer: '-', schedule: 'nightly', commandId: first.commandId });
    expect(first.eventId).toBe(eventId(tenant, 'nightly', { providerEventId: `schedule:nightly:${first.commandId}` }));
  });

  test('needs a schedule that exists, and a key with OPERATE', async () => {
    const tenant = await tenantWith(['Schedule', 'nightly', nightly]);
    expect(await server.data<Fired>({ operatorIn: tenant }, mutation, { name: 'other', key: 'k' })).toEqual({
      fireSchedule: { __typename: 'NotFoundError', code: 'schedule.unknown' },
    });
    expect(await server.data<Fired>(await server.key(tenant, 'read'), mutation, { name: 'nightly', key: 'k' })).toMatchObject({
      fireSchedule: { __typename: 'ForbiddenError' },
    });
  });
});

test('schedules of another tenant are not seen', async () => {
  const tenant = await tenantWith(['Schedule', 'nightly', nightly]);
  await database.query(insertProgress, [tenant, 'nightly', new Date()]);
  const other = await tenantWith(['Schedule', 'nightly', nightly]);
  expect(await list(other)).toMatchObject([{ name: 'nightly', fired: 0 }]);
});
