import { expect, test } from 'vitest';
import { MethodNotAllowed } from '#libs/service';
import type { Log } from '#libs/tracing';
import { IntakeLog } from './intake-log.js';

function watched(logEvery: number) {
  const lines: { level: string; outcome: string; [field: string]: unknown }[] = [];
  const at = (level: string) => (fields: object) => lines.push({ level, ...(fields as { outcome: string }) });
  const log = { info: at('info'), warn: at('warn'), isLevelEnabled: () => true } as unknown as Log;
  return { lines, door: new IntakeLog(logEvery, log) };
}
const refuse = () => Promise.reject(new MethodNotAllowed('GET', 'POST'));

test('a request writes one line, with what was found out about it', async () => {
  const { door, lines } = watched(1);
  const answer = await door.record('webhooks', '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01', async (entry) => {
    entry.tenant = 'acme';
    entry.eventId = 'evt_1';
    return 'answer';
  });
  expect(answer).toBe('answer');
  expect(lines).toEqual([
    {
      level: 'info',
      unit: 'receive webhooks',
      outcome: 'ok',
      durationMs: expect.any(Number),
      tenant: 'acme',
      eventId: 'evt_1',
      traceId: expect.anything(),
    },
  ]);
});

test('a refused one says its code, and is thrown on as it was', async () => {
  const { door, lines } = watched(0);
  await expect(door.record('events', undefined, refuse)).rejects.toThrow(MethodNotAllowed);
  expect(lines).toMatchObject([{ level: 'warn', outcome: 'request.methodNotAllowed' }]);
});

test.each([
  [0, 0],
  [1, 7],
  [3, 2],
])('of seven accepted requests, with INTAKE_LOG_EVERY=%i, %i are logged', async (logEvery, expected) => {
  const { door, lines } = watched(logEvery);
  for (let request = 0; request < 7; request += 1) await door.record('webhooks', undefined, async () => undefined);
  expect(lines).toHaveLength(expected);
});
