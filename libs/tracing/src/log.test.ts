import { expect, test } from 'vitest';
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
