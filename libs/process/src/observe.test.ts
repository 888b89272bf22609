import { afterEach, expect, test, vi } from 'vitest';
import { observe } from './observe.js';

const outputs = [process.stdout, process.stderr];
const listeners = outputs.map((output) => output.listeners('error'));
afterEach(() => {
  for (const [at, output] of outputs.entries()) {
    output.removeAllListeners('error');
    for (const listener of listeners[at]!) output.on('error', listener as () => void);
  }
  vi.restoreAllMocks();
});

test('a process goes on when nobody reads its output any more', async () => {
  for (const output of outputs) output.removeAllListeners('error');
  const tracing = observe('test', { logLevel: 'info', otlpUrl: undefined, traceSamplePercent: 100, stopTimeoutMs: 1_000 });
  for (const output of outputs) expect(() => output.emit('error', new Error('write EPIPE'))).not.toThrow();
  await tracing.shutdown();
});
