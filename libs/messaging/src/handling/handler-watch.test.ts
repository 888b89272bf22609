import { expect, test } from 'vitest';
import { HandlerStuck, HandlerWatch } from './handler-watch.js';
import type { LoggedRecord } from '../logged-record.js';

const record = (offset: number): LoggedRecord => ({
  topic: 't',
  partition: 0,
  offset,
  logId: 'log',
  timestampMs: 0,
  key: null,
  value: null,
  headers: undefined,
});

test('a handler is overdue after its deadline and stuck after twice of it, whatever ends beside it', async () => {
  let now = 0;
  const watch = new HandlerWatch('flows', 1_000, () => now);
  const stuck = Promise.withResolvers<void>();
  const atWork = watch.during(record(7), () => stuck.promise);
  await watch.during(record(8), async () => undefined);
  now = 999;
  expect(watch.fault).toBeUndefined();
  now = 1_500;
  expect(watch.fault).toContain('t/0/7');
  watch.check();
  now = 2_000;
  expect(() => watch.check()).toThrow(HandlerStuck);
  stuck.resolve();
  await atWork;
  expect(watch.fault).toBeUndefined();
  watch.check();
});

test('the deadline is that of one attempt: a record that is tried for hours is not stuck', async () => {
  let now = 0;
  const watch = new HandlerWatch('flows', 1_000, () => now);
  for (now = 0; now < 10_000; now += 900) {
    await watch.during(record(7), async () => undefined);
    watch.check();
  }
});
