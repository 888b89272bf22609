import { readFileSync } from 'node:fs';
import { afterEach, expect, test, vi } from 'vitest';
import { logger, registry } from '#libs/tracing';
import { observe } from './observe.js';

const outputs = [process.stdout, process.stderr];
const listeners = outputs.map((output) => output.listeners('error'));
const { debug, log: write, info, warn, error } = console;
const warningListeners = process.listeners('warning');
afterEach(() => {
  Object.assign(console, { debug, log: write, info, warn, error });
  process.removeAllListeners('warning');
  for (const listener of warningListeners) process.on('warning', listener);
  for (const [at, output] of outputs.entries()) {
    output.removeAllListeners('error');
    for (const listener of listeners[at]!) output.on('error', listener as () => void);
  }
  vi.restoreAllMocks();
});

test('a process says with each line who it is, shows its build, and goes on when nobody reads its output any more', async () => {
  for (const output of outputs) output.removeAllListeners('error');
  const before = logger('made before');
  const settings = { logLevel: 'info', otlpUrl: undefined, traceSamplePercent: 100, revision: '70f4664', stopTimeoutMs: 1_000 } as const;
  const tracing = await observe('door', settings); // once: it is the start of a process
  for (const output of outputs) expect(() => output.emit('error', new Error('write EPIPE'))).not.toThrow();
  const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
  for (const one of [before, logger('made after')]) expect(one.bindings()).toMatchObject({ service: 'door', version });
  const build = await registry.getSingleMetricAsString('millrace_build_info');
  expect(build).toContain(`millrace_build_info{version="${version}",revision="70f4664"} 1`);
  await tracing.shutdown();
});
