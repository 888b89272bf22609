import { beforeEach, describe, expect, test } from 'vitest';
import { registry } from '#libs/tracing';
import { Readiness } from './readiness.js';

const away = (): never => {
  throw new Error('away');
};
let door: Readiness;
let worker: Readiness;
beforeEach(() => {
  door = new Readiness(true);
  worker = new Readiness();
  for (const readiness of [door, worker]) readiness.register('own', () => undefined);
});

describe('without what all replicas share', () => {
  beforeEach(() => {
    for (const readiness of [door, worker]) readiness.registerShared('log', away);
  });

  test('a door stays ready, and says what is away', async () => {
    expect(await door.report()).toEqual({ status: 'degraded', parts: { own: 'ok', log: 'away' } });
  });

  test('a worker is not ready', async () => {
    expect(await worker.report()).toEqual({ status: 'unavailable', parts: { own: 'ok', log: 'away' } });
  });
});

test('without something of its own, a door is not ready either', async () => {
  door.registerShared('log', away);
  door.register('own', away);
  expect((await door.report()).status).toBe('unavailable');
});

test('with all parts, both are ready', async () => {
  for (const readiness of [door, worker]) expect(await readiness.report()).toEqual({ status: 'ok', parts: { own: 'ok' } });
});

test('the state of each part is a metric, and a part that is withdrawn has none', async () => {
  const series = async () =>
    (await registry.getSingleMetricAsString('millrace_part_ready')).split('\n').filter((line) => /part="t/.test(line));
  door.register('t1', () => undefined);
  door.registerShared('t2', away);
  await door.report();
  expect(await series()).toEqual(['millrace_part_ready{part="t1"} 1', 'millrace_part_ready{part="t2"} 0']);
  door.withdraw('t2');
  await door.report();
  expect(await series()).toEqual(['millrace_part_ready{part="t1"} 1']);
});
