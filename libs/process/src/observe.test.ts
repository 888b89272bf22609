import { afterEach, expect, test, vi } from 'vitest';
import { observe } from './observe.js';

const outputs = [process.stdout, process.stderr];
const listeners = outputs.map((output) => output.listeners('error'));
const { debug, log, info, warn, error } = console;
const warningListeners = process.listeners('warning');
afterEach(() => {
  Object.assign(console, { debug, log, info, warn, error });
  process.removeAllListeners('warning');
  for (const listener of warningListeners) process.on('warning', listener);
  for (const [at, output] of outputs.entries()) {
    output.removeAllListeners('error');
    for (const listener of listeners[at]!) output.on('error', listener as () => void);
  }
  vi.restoreAllMocks();
});

test('a process goes on when nobody reads its output any more', async () => {
  for (const output of outputs) output.removeAllListeners('error');
  const tracing = await observe('test', { logLevel: 'info', otlpUrl: undefined, traceSamplePercent: 100, stopTimeoutMs: 1_000 });
  for (const output of outputs) expect(() => output.emit('error', new Error('write EPIPE'))).not.toThrow();
  await tracing.shutdown();
});
