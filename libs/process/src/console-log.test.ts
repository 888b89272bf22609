/* oxlint-disable no-console -- the test writes as a library does */
import { afterEach, expect, test, vi } from 'vitest';
import { logger } from '#libs/tracing';
import { logConsole } from './console-log.js';

const { debug, log, info, warn, error } = console;
const listeners = process.listeners('warning');
afterEach(() => {
  Object.assign(console, { debug, log, info, warn, error });
  process.removeAllListeners('warning');
  for (const listener of listeners) process.on('warning', listener);
});

test('what libraries and Node write to the console becomes lines of the log', () => {
  const lines = logger('test');
  const written = (['error', 'warn', 'info', 'debug'] as const).map((level) => vi.spyOn(lines, level).mockReturnValue());
  const [errors, warnings, infos, details] = written.map(({ mock }) => mock.calls);
  logConsole(lines);
  const cause = new RangeError('the cause');
  const warning = new Error('something is deprecated');
  console.error('Internal error %s', 'of a library', cause);
  console.log('said', { a: 1 });
  console.debug('a detail');
  process.emit('warning', warning);
  expect(errors).toEqual([[{ err: cause }, 'Internal error of a library']]);
  expect(warnings).toEqual([[{ err: warning }, 'something is deprecated']]);
  expect(infos).toEqual([[{}, 'said { a: 1 }']]);
  expect(details).toEqual([[{}, 'a detail']]);
});
