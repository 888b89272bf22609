import { describe, expect, test } from 'vitest';
import { EnableDestination, noCustomer } from '#libs/contracts';
import type { Principal } from '#libs/auth';
import type { RecordProducer } from '#libs/messaging';
import type { AuditTable } from '../audit/audit.table.js';
import { enableDestination } from '../destinations/destination.operations.js';
import { CommandService, planned } from './command.service.js';
import type { IdempotencyKeyTable } from './idempotency-key.table.js';

const principal = { tenant: 'acme', actor: 'operator' } as Principal;
const command = planned({
  type: EnableDestination,
  customer: noCustomer,
  identity: ['crm'],
  target: 'Destination/crm',
  payload: { destination: 'crm' },
});

/** The service over tables and a log that note their calls; the one named by `broken` throws. */
function commands(broken?: 'bind' | 'audit') {
  const calls: string[] = [];
  const call = (name: string) => async (): Promise<void> => {
    await Promise.resolve();
    if (name === broken) throw new Error(`${name} failed`);
    calls.push(name);
  };
  const keys = { bind: call('bind') } as unknown as IdempotencyKeyTable;
  const audit = { record: call('audit') } as unknown as AuditTable;
  const producer = { append: call('append') } as unknown as RecordProducer;
  const service = new CommandService(keys, audit, producer);
  const issue = (plan = [command]) =>
    service.issue(principal, enableDestination, { idempotencyKey: 'k' }, () => Promise.resolve({ commands: plan, result: null }));
  return { calls, issue };
}

describe('a command', () => {
  test('is appended after its key is bound and its audit entry is written', async () => {
    const { calls, issue } = commands();
    await issue();
    expect(calls).toEqual(['bind', 'audit', 'append']);
  });

  test.each(['bind', 'audit'] as const)('is not appended if %s fails', async (broken) => {
    const { calls, issue } = commands(broken);
    await expect(issue()).rejects.toThrow(`${broken} failed`);
    expect(calls).not.toContain('append');
  });

  test('that a dry run does not issue writes nothing', async () => {
    const { calls, issue } = commands();
    expect(await issue([])).toEqual({ commandIds: [], result: null });
    expect(calls).toEqual([]);
  });
});
