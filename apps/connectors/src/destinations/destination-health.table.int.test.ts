import { afterAll, beforeAll, expect, test } from 'vitest';
import { Database, statement } from '#libs/persistence';
import { afterCall, callsAllowed, phaseOf } from '#libs/retries';
import { freshDatabase } from '#libs/testing';
import type { FreshDatabase } from '#libs/testing';
import { DestinationHealthTable } from './destination-health.table.js';
import type { LockedHealth } from './destination-health.table.js';

let fresh: FreshDatabase;
let database: Database;
let table: DestinationHealthTable;
beforeAll(async () => {
  fresh = await freshDatabase();
  database = await Database.connect({ url: fresh.url, role: 'millrace_service', applicationName: 'test' });
  table = new DestinationHealthTable(database);
});
afterAll(async () => {
  await database.close();
  await fresh.close();
});

/** Open, limited, and with a rate that is used up, each for so many ms from now. */
const block = statement(
  'test.health.block',
  `INSERT INTO destination_health (tenant_id, destination, document_version, open_since, open_until, open_reason, limited_since, limited_until,
     limited_reason, next_due_ms, breaker)
   SELECT 'acme', $1, 1, now(), ends, 'delivery.unavailable', now(), now() + $3 * interval '1 millisecond', 'delivery.limited',
     extract(epoch FROM now()) * 1000 + $4, json_build_object('openUntilMs', extract(epoch FROM ends) * 1000, 'openings', 2, 'successes', 0,
       'unansweredInARow', 0, 'seconds', json_build_array())
   FROM (SELECT now() + $2 * interval '1 millisecond' AS ends) AS end_of`,
);
const health = (destination: string): Promise<LockedHealth> =>
  database.transaction(async (session) => (await table.lock(session, [{ tenant: 'acme', destination }]))[0]!);

const day = 86_400_000;

test('what blocks a destination for longer than anything may ends, and nothing else does', async () => {
  const longestOpenMs = 300_000;
  await database.query(block, ['too-long', longestOpenMs + 7_200_000, day + 7_200_000, 7_200_000]);
  await database.query(block, ['long', longestOpenMs - 60_000, day - 60_000, 1_000]);
  const before = await health('long');

  expect(await table.endOverlongWaits(longestOpenMs)).toBe(1);
  expect({ ...(await health('long')), nowMs: 0 }).toEqual({ ...before, nowMs: 0 });
  const { health: after, nextDueMs, nowMs } = await health('too-long');
  expect(after.limited!.untilMs).toBeLessThanOrEqual(nowMs);
  expect(callsAllowed({ perSecond: 10 }, nextDueMs, nowMs)).toBeGreaterThan(0);
  expect(after.open!.untilMs).toBeCloseTo(after.breaker.openUntilMs!, 0);
  expect(phaseOf(after.breaker, nowMs)).toBe('halfOpen');
  const probe = afterCall(after.breaker, { outcome: 'answered', beganAtMs: nowMs }, nowMs);
  expect(afterCall(probe, { outcome: 'answered', beganAtMs: nowMs }, nowMs).openUntilMs).toBeNull();
  expect(await table.endOverlongWaits(longestOpenMs)).toBe(0);
});
