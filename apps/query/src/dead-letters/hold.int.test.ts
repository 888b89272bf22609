import { afterAll, beforeAll, expect, test } from 'vitest';
import { QueryServer } from '../../../../test/query/query-server.js';

let server: QueryServer;
beforeAll(async () => {
  server = await QueryServer.start();
});
afterAll(() => server.stop());

const holdOf = async (tenant: string, id: string): Promise<object | null> => {
  const query = `{ event(id: "${id}") { state hold { reason group heldRecords deadLetter { id event { id } } } } }`;
  return (await server.data<{ event: { hold: object | null } }>({ operatorIn: tenant }, query)).event.hold;
};

test('an event says behind which dead letter its record waits; the one that failed, and one that nothing holds, say nothing', async () => {
  const { rows } = server;
  const ids = ['evt_failed', 'evt_behind', 'evt_last'];
  for (const id of [...ids, 'evt_free']) await rows.event({ tenant: 'acme', id });
  await rows.event({ tenant: 'acme', id: 'evt_other', customer: 'cus-2' });
  await rows.deadLetter({ tenant: 'acme', id: 'dlq_1', kind: 'run', event: 'evt_failed' });
  await rows.hold({ tenant: 'acme', customer: 'cus-1', deadLetter: 'dlq_1', records: 3, events: ids });
  const hold = { reason: 'POISON', group: 'flows', heldRecords: 3, deadLetter: { id: 'dlq_1', event: { id: 'evt_failed' } } };
  expect(await holdOf('acme', 'evt_behind')).toEqual(hold);
  expect(await holdOf('acme', 'evt_last')).toEqual(hold);
  for (const id of ['evt_failed', 'evt_free', 'evt_other']) expect(await holdOf('acme', id)).toBeNull();
});

test('an event of one tenant does not wait behind a record of another with the same id and customer', async () => {
  for (const tenant of ['globex', 'initech']) await server.rows.event({ tenant, id: 'evt_same' });
  await server.rows.hold({ tenant: 'globex', customer: 'cus-1', deadLetter: 'dlq_2', records: 2, events: ['evt_0', 'evt_same'] });
  expect(await holdOf('globex', 'evt_same')).toMatchObject({ deadLetter: null, heldRecords: 2 });
  expect(await holdOf('initech', 'evt_same')).toBeNull();
});
