import { expect, test, vi } from 'vitest';
import { logger, setLogLevel, workDone } from './log.js';

test('the details of a line are asked for only if the line is written', () => {
  const log = logger('test');
  const asked: string[] = [];
  const end = (outcome: string): void =>
    workDone(log, 'unit', { outcome, durationMs: 1 }, () => {
      asked.push(outcome);
      return {};
    });
  try {
    setLogLevel('warn');
    end('ok');
    expect(asked).toEqual([]);
    end('model.limited');
    expect(asked).toEqual(['model.limited']);
    setLogLevel('silent');
    end('model.limited');
    expect(asked).toHaveLength(1);
  } finally {
    setLogLevel('info');
  }
});

test('a failure is a warning unless the caller says that another line reports it', () => {
  const log = logger('test');
  const written = (['warn', 'info'] as const).map((level) => [level, vi.spyOn(log, level).mockReturnValue()] as const);
  workDone(log, 'unit', { outcome: 'ok', durationMs: 1 });
  workDone(log, 'unit', { outcome: 'model.limited', durationMs: 1 });
  workDone(log, 'unit', { outcome: 'model.misconfigured', durationMs: 1 }, undefined, 'info');
  const outcomes = written.map(([level, spy]) => [level, ...spy.mock.calls.map(([line]) => (line as { outcome: string }).outcome)]);
  expect(outcomes).toEqual([
    ['warn', 'model.limited'],
    ['info', 'ok', 'model.misconfigured'],
  ]);
});
