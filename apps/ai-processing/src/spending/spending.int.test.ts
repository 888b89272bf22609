import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { SecretBox } from '#libs/auth';
import { budgetPeriodAt, document, utcDayOf } from '#libs/contracts';
import type { ModelAttempt } from '#libs/models';
import { Configuration, Database, DocumentTable, statement } from '#libs/persistence';
import { freshDatabase, uniqueName } from '#libs/testing';
import type { FreshDatabase } from '#libs/testing';
import { wallTime } from '#libs/time';
import { SpendTable } from './spend.table.js';
import { SpendingService } from './spending.service.js';

const secretBox = new SecretBox(randomBytes(32));
let fresh: FreshDatabase;
let database: Database;
let configuration: Configuration;
let tenant: string;
const processes: SpendingService[] = [];

beforeAll(async () => {
  fresh = await freshDatabase();
  database = await Database.connect({ url: fresh.url, role: 'millrace_service', applicationName: 'test' });
  configuration = new Configuration(database, { secretBox });
  await configuration.start();
});
beforeEach(() => {
  tenant = uniqueName('t');
});
afterEach(async () => {
  await Promise.all(processes.splice(0).map((one) => one.beforeApplicationShutdown()));
});
afterAll(async () => {
  await configuration.stop();
  await database.close();
  await fresh.close();
});

/** A process that knows what is spent. */
async function startProcess(): Promise<SpendingService> {
  const started = new SpendingService(new SpendTable(database), configuration);
  await started.onApplicationBootstrap();
  processes.push(started);
  return started;
}

async function saveBudget(spec: object, name = 'all'): Promise<void> {
  const budget = document.parse({ apiVersion: 'millrace/v1', kind: 'Budget', metadata: { tenant, name }, spec });
  await new DocumentTable(secretBox).save(database, { document: budget, actor: 'test' });
  await configuration.readAgain();
}

/** A call that costs one euro and uses 1 000 tokens. */
const attempt = (over: Partial<ModelAttempt> = {}): ModelAttempt => ({
  number: 1,
  provider: 'mistral',
  model: 'small',
  startedAt: wallTime(),
  finishedAt: wallTime(),
  outcome: 'succeeded',
  errorCode: null,
  errorMessage: null,
  budget: null,
  responseModel: null,
  providerRequestId: null,
  inputTokens: 900,
  outputTokens: 100,
  costNanos: 1e9,
  currency: 'EUR',
  ...over,
});
const euros = { price: { input: 1, output: 1, currency: 'EUR' } };
const spend = (service: SpendingService, flow: string | undefined, over: Partial<ModelAttempt> = {}): void =>
  service.note({ tenant, flow }, attempt(over));
/** The code with which a call is refused; `open` if it is not. */
function allowance(service: SpendingService, candidate = euros, owner: { tenant?: string; flow?: string } = {}): string {
  try {
    service.requireAllowance({ tenant, flow: 'triage', ...owner }, candidate);
    return 'open';
  } catch (error) {
    return (error as { code: string }).code;
  }
}
const all = statement(
  'test.modelSpend.all',
  `SELECT flow, provider, model, currency, calls::int, input_tokens::int AS input, output_tokens::int AS output, cost_nanos::float8 AS cost
   FROM model_spend WHERE tenant_id = $1 ORDER BY flow, currency`,
);
const stored = (): Promise<object[]> => database.query(all, [tenant]);

test('calls add up by day, flow, provider, model and currency, of all processes', async () => {
  const [one, other] = [await startProcess(), await startProcess()];
  spend(one, 'triage');
  spend(one, 'triage', { outcome: 'failed' });
  spend(other, 'triage');
  spend(other, undefined, { provider: null, costNanos: null, currency: null, inputTokens: null, outputTokens: null });
  await Promise.all([one.pass(), other.pass()]);
  await one.pass();
  expect(await stored()).toEqual([
    { flow: '-', provider: '-', model: 'small', currency: '-', calls: 1, input: 0, output: 0, cost: 0 },
    { flow: 'triage', provider: 'mistral', model: 'small', currency: 'EUR', calls: 3, input: 2_700, output: 300, cost: 3e9 },
  ]);
});

test('a budget is open until it is spent, and then stops what it counts: its currency, its flows, its tenant', async () => {
  await saveBudget({ per: 'month', amount: 2, currency: 'EUR', flows: undefined, whenSpent: 'stop' });
  const service = await startProcess();
  spend(service, 'triage', { currency: 'USD' });
  spend(service, 'triage');
  expect(allowance(service)).toBe('open');
  spend(service, 'other');
  expect(allowance(service)).toBe('model.budgetSpent');
  expect(allowance(service, { price: { ...euros.price, currency: 'USD' } })).toBe('open');
  expect(allowance(service, {} as never)).toBe('open');
  expect(allowance(service, euros, { tenant: `${tenant}x` })).toBe('open');
});

test('a budget of some flows counts these alone, and one that degrades says so', async () => {
  await saveBudget({ per: 'day', amount: 1, currency: 'EUR', flows: ['triage'], whenSpent: 'degrade' });
  const service = await startProcess();
  spend(service, 'other');
  expect(allowance(service)).toBe('open');
  spend(service, 'triage');
  expect(allowance(service)).toBe('model.notFree');
  expect(() => service.requireAllowance({ tenant, flow: 'triage' }, euros)).toThrow(expect.objectContaining({ budget: 'all' }));
  expect(allowance(service, euros, { flow: 'other' })).toBe('open');
});

test('a budget of tokens counts every model; one that only warns refuses nothing', async () => {
  await saveBudget({ per: 'day', tokens: 1_000, whenSpent: 'degrade', flows: ['triage'] });
  await saveBudget({ per: 'day', tokens: 1, whenSpent: 'warn' }, 'warns');
  const service = await startProcess();
  expect(allowance(service, {} as never)).toBe('open');
  spend(service, 'triage', { costNanos: null, currency: null });
  expect(allowance(service, {} as never)).toBe('model.notFree');
  expect(allowance(service, {} as never, { flow: 'other' })).toBe('open');
});

test('the costs of another process, and those of before a restart, count', async () => {
  await saveBudget({ per: 'month', amount: 1, currency: 'EUR', whenSpent: 'stop' });
  const before = await startProcess();
  spend(before, 'triage');
  await before.pass();
  expect(allowance(await startProcess())).toBe('model.budgetSpent');
});

test('the costs of the day or the month before do not count', async () => {
  await saveBudget({ per: 'day', amount: 1, currency: 'EUR', whenSpent: 'stop' });
  await saveBudget({ per: 'month', amount: 1, currency: 'EUR', whenSpent: 'stop' }, 'month');
  const service = await startProcess();
  const [monthBegan] = [new Date(`${budgetPeriodAt('month', wallTime()).firstDay}T00:00:00Z`)];
  spend(service, 'triage', { startedAt: new Date(monthBegan.getTime() - 1) });
  await service.pass();
  expect(allowance(await startProcess())).toBe('open');
});

test('a budget that is raised is open at the next look, and one that is removed is gone', async () => {
  await saveBudget({ per: 'month', amount: 1, currency: 'EUR', whenSpent: 'stop' });
  const service = await startProcess();
  spend(service, 'triage');
  expect(allowance(service)).toBe('model.budgetSpent');
  await saveBudget({ per: 'month', amount: 5, currency: 'EUR', whenSpent: 'stop' });
  await service.pass();
  expect(allowance(service)).toBe('open');
  await saveBudget({ per: 'month', amount: 0.5, currency: 'EUR', whenSpent: 'stop' });
  await service.pass();
  expect(allowance(service)).toBe('model.budgetSpent');
  await new DocumentTable(secretBox).remove(database, { tenant, kind: 'Budget', name: 'all', actor: 'test' });
  await configuration.readAgain();
  await service.pass();
  expect(allowance(service)).toBe('open');
});

test('a run looks again within a minute, and no later than the budget begins anew', async () => {
  await saveBudget({ per: 'day', amount: 1, currency: 'EUR', whenSpent: 'stop' });
  const service = await startProcess();
  spend(service, 'triage');
  const refusal = (() => {
    try {
      service.requireAllowance({ tenant, flow: 'triage' }, euros);
      return undefined;
    } catch (error) {
      return error as { retryAfterMs: number; message: string };
    }
  })();
  expect(refusal!.retryAfterMs).toBeGreaterThan(0);
  expect(refusal!.retryAfterMs).toBeLessThanOrEqual(60_000);
  expect(refusal!.message).toBe(`The budget all is spent: 1 EUR until ${budgetPeriodAt('day', wallTime()).endsAt.toISOString()}`);
});

test('what could not be written is written later, once', async () => {
  const lame = new (class extends SpendTable {
    isAway = true;
    override add(rows: Parameters<SpendTable['add']>[0]): Promise<void> {
      return this.isAway ? Promise.reject(new Error('away')) : super.add(rows);
    }
  })(database);
  const service = new SpendingService(lame, configuration);
  spend(service, 'triage');
  await expect(service.pass()).rejects.toThrow('away');
  spend(service, 'triage');
  await expect(service.pass()).rejects.toThrow('away');
  lame.isAway = false;
  await service.pass();
  await service.pass();
  expect(await stored()).toMatchObject([{ flow: 'triage', calls: 2, cost: 2e9 }]);
});

test.each([
  ['2026-01-31T23:59:59.999Z', 'day', '2026-01-31', '2026-02-01T00:00:00.000Z'],
  ['2026-12-31T12:00:00.000Z', 'month', '2026-12-01', '2027-01-01T00:00:00.000Z'],
  ['2028-02-29T00:00:00.000Z', 'month', '2028-02-01', '2028-03-01T00:00:00.000Z'],
] as const)('at %s, the %s began on %s', (time, per, firstDay, endsAt) => {
  expect(budgetPeriodAt(per, new Date(time))).toEqual({ firstDay, endsAt: new Date(endsAt) });
  expect(utcDayOf(new Date(time))).toBe(time.slice(0, 10));
});
