import { afterAll, beforeAll, expect, test } from 'vitest';
import { freshDatabase } from '#libs/testing';
import type { FreshDatabase } from '#libs/testing';
import { Database, requireSchema, statement } from './index.js';

let fresh: FreshDatabase;
beforeAll(async () => {
  fresh = await freshDatabase();
});
afterAll(() => fresh.close());

test('int8 is a number', async () => {
  const database = await Database.connect({ url: fresh.url, role: 'millrace_service', applicationName: 'test' });
  await requireSchema(database);
  expect(await database.query(statement('test.who', 'select current_user as who, 3::int8 as n'))).toEqual([
    { who: 'millrace_service', n: 3 },
  ]);
  await database.close();
});
