import { describe, expect, it } from 'vitest';
import { sleep } from './sleep.js';

describe('sleep', () => {
  it('resolves after its time', async () => {
    await expect(sleep(1)).resolves.toBeUndefined();
  });

  it('throws the reason of a signal that aborts meanwhile, at once', async () => {
    const controller = new AbortController();
    const waiting = sleep(3_600_000, controller.signal);
    controller.abort(new Error('shutting down'));
    await expect(waiting).rejects.toThrow('shutting down');
  });

  it('does not begin under a signal that has already aborted', async () => {
    await expect(sleep(0, AbortSignal.abort(new Error('too late')))).rejects.toThrow('too late');
  });
});
