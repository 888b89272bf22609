import { describe, expect, test, vi } from 'vitest';
import { z } from 'zod';
import { KeyRing } from '#libs/auth';
import { failures } from '#libs/contracts';
import { InputInvalid } from './input.errors.js';
import { command } from './operation.js';
import { OperationRunner, contractOperations } from './operation-runner.js';
import { handle, loader } from './part.js';
import type { Get } from './part.js';
import { id, idempotencyKey } from './shape.js';

class Table {
  readonly asked: (readonly string[])[] = [];

  byIds(keys: readonly string[]): Promise<string[]> {
    this.asked.push(keys);
    return Promise.resolve(keys.map((key) => `row of ${key}`));
  }
}

const operatorKey = 'an-operator-key-of-thirty-two-characters';

function setUp() {
  const table = new Table();
  const get = vi.fn<() => Table>(() => table);
  const operations = new OperationRunner(new KeyRing(() => undefined, { operatorKey }), { get } as never);
  const context = () => operations.contextFor({ authorization: `Bearer ${operatorKey}`, tenant: 'acme' });
  return { table, get, operations, context };
}

const pause = command({
  name: 'pause',
  about: 'Pauses what the ids name.',
  scope: 'operate',
  input: z.strictObject({ ids: z.array(id).min(1, { error: 'must have an entry' }), idempotencyKey }),
  result: { commandId: id },
  failures: [],
});

describe('an operation', () => {
  test('runs with its parsed input', async () => {
    const { operations, context } = setUp();
    const handler = vi.fn<() => Promise<{ commandId: string }>>(() => Promise.resolve({ commandId: 'cmd_1' }));
    const input = { ids: ['dlv_1'], idempotencyKey: 'key-1' };
    await expect(operations.run(handle(pause, handler), await context(), input)).resolves.toEqual({ commandId: 'cmd_1' });
    expect(handler).toHaveBeenCalledWith(expect.objectContaining({ principal: expect.objectContaining({ tenant: 'acme' }) }), input);
  });

  test('whose input does not fit is refused with everything that is wrong, and its handler does not run', async () => {
    const { operations, context } = setUp();
    const handler = vi.fn<() => never>();
    const refused = await context().then((given) => {
      try {
        return operations.run(handle(pause, handler), given, { ids: [], idempotencyKey: 'with a space' });
      } catch (error) {
        return error;
      }
    });
    expect(refused).toBeInstanceOf(InputInvalid);
    expect((refused as InputInvalid).violations).toEqual([
      { path: ['ids'], message: 'must have an entry' },
      { path: ['idempotencyKey'], message: 'must be 1 to 128 visible ASCII characters' },
    ]);
    expect(handler).not.toHaveBeenCalled();
  });

  test('of another scope than the principal has is refused before its input is looked at', async () => {
    const { operations, context } = setUp();
    const given = await context();
    const reader = { ...given, principal: { ...given.principal, scopes: ['read' as const] } };
    expect(() => operations.run(handle(pause, vi.fn<() => never>()), reader, {})).toThrow(
      expect.objectContaining({ code: 'credential.scope' }),
    );
  });
});

describe('a load', () => {
  const rows = loader((get: Get, _tenant, keys) => get(Table).byIds(keys));

  test('joins the keys of one tick in one statement, each key once, and gives every place its row', async () => {
    const { table, context } = setUp();
    const { load } = await context();
    await expect(Promise.all([load(rows, 'a'), load(rows, 'b'), load(rows, 'a')])).resolves.toEqual(['row of a', 'row of b', 'row of a']);
    expect(table.asked).toEqual([['a', 'b']]);
  });

  test('remembers no row, so that a subscription sees each as it is then', async () => {
    const { table, context } = setUp();
    const { load } = await context();
    await load(rows, 'a');
    await load(rows, 'a');
    expect(table.asked).toEqual([['a'], ['a']]);
  });

  test('finds a provider once', async () => {
    const { get, context } = setUp();
    const { load } = await context();
    await load(rows, 'a');
    await load(rows, 'b');
    expect(get).toHaveBeenCalledTimes(1);
  });
});

describe('the contract', () => {
  test('tells every command apart from its repeats or changes nothing twice', () => {
    const withoutKey = contractOperations.filter(({ kind, input }) => kind === 'command' && !('idempotencyKey' in input.shape));
    const harmlessTwice = [
      'authorizeConnection',
      'checkWebhooks',
      'claimReview',
      'disconnectConnection',
      'refreshSecrets',
      'registerWebhook',
      'releaseReview',
      'takeRequest',
      'testConnection',
      'unregisterWebhook',
      'verifyRequest',
    ];
    expect(withoutKey.map(({ name }) => name).toSorted()).toEqual(
      ['applyDocuments', 'createApiKey', 'removeDocument', 'revokeApiKey', ...harmlessTwice].toSorted(),
    );
  });

  test('names only failures that a caller can be told', () => {
    for (const { name, failures: codes } of contractOperations) {
      for (const code of codes) expect([name, code, failures[code].outcome]).not.toContain('deadLetter');
    }
  });
});
