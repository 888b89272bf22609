import * as fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Database, statement } from '#libs/persistence';
import { freshDatabase, uniqueName } from '#libs/testing';
import type { FreshDatabase } from '#libs/testing';
import { DeliveryQueueTable } from './delivery-queue.table.js';
import type { AttemptResult, ClaimedDelivery } from './delivery-queue.table.js';

let fresh: FreshDatabase;
let database: Database;
let table: DeliveryQueueTable;
beforeAll(async () => {
  fresh = await freshDatabase();
  database = await Database.connect({ url: fresh.url, role: 'millrace_service', applicationName: 'test' });
  table = new DeliveryQueueTable(database);
});
afterAll(async () => {
  await database.close();
  await fresh.close();
});

/** The fate of a claim. `lost…`: the process dies, before or after the destination took it; `late`: it is recorded when the claim is long over. */
const fates = ['arrives', 'fails', 'isRefused', 'lostBefore', 'lostAfter', 'late'] as const;
type Fate = (typeof fates)[number];
type Action =
  | { readonly kind: 'plan'; readonly customer: string }
  | { readonly kind: 'work'; readonly fates: readonly Fate[] }
  | { readonly kind: 'claimsRunOut' | 'lateOnesRecord' | 'redeliver' | 'skip' };

const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('plan' as const), customer: fc.constantFrom('a', 'b') }) },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('work' as const),
      fates: fc.array(fc.constantFrom(...fates), { minLength: 1, maxLength: 4 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('claimsRunOut', 'lateOnesRecord', 'redeliver', 'skip') }) },
);
/** Actions of one round happen at once. */
const rounds = fc.array(fc.array(action, { minLength: 1, maxLength: 5 }), { minLength: 3, maxLength: 25 });

const rows = statement(
  'test.order.rows',
  `SELECT id, customer, position, state, next_attempt_at IS NOT NULL AND NOT held_back AS "hasTurn", aside FROM delivery
   WHERE tenant_id = $1 ORDER BY position`,
);
const runOut = statement(
  'test.order.runOut',
  `UPDATE delivery SET lease_until = statement_timestamp() - interval '1 second' WHERE tenant_id = $1 AND lease_until IS NOT NULL`,
);

interface Row {
  readonly id: string;
  readonly customer: string;
  readonly position: number;
  readonly state: string;
  readonly hasTurn: boolean;
  readonly aside: boolean;
}

/** Workers, partners and operators of one tenant, and the destination that they all deliver to. */
class World {
  readonly tenant = uniqueName('t');
  /** In the order in which the destination took them, repeats included. */
  readonly effects: string[] = [];
  /** Given up by an operator: those behind them go on, and should one be redelivered after all, it comes late. */
  readonly givenUp = new Set<string>();
  private planned = 0;
  private commands = 0;
  private timesRunOut = 0;
  private late: ClaimedDelivery[] = [];

  constructor(private readonly strict: boolean) {}

  async act(one: Action): Promise<void> {
    if (one.kind === 'plan') await this.plan(one.customer);
    else if (one.kind === 'work') await this.work(one.fates);
    else if (one.kind === 'claimsRunOut') await this.claimsRunOut();
    else if (one.kind === 'lateOnesRecord') await this.settle(this.late.splice(0), 'delivered');
    else await this.operate(one.kind);
  }

  rows(): Promise<Row[]> {
    return database.query(rows, [this.tenant]);
  }

  /** Everything works from now on, and every parked delivery is redelivered. */
  async drain(): Promise<void> {
    await this.claimsRunOut();
    for (;;) {
      const claimed = await this.work(['arrives', 'arrives', 'arrives', 'arrives']);
      if (claimed === 0 && !(await this.operate('redeliver'))) return;
    }
  }

  private async plan(customer: string): Promise<void> {
    this.planned += 1;
    const id = `${this.tenant}-${this.planned}`;
    const delivery = { tenant: this.tenant, id, eventId: id, runId: id, flow: 'f', generation: 0, step: 's', customer, destination: 'd' };
    await table.insert([
      {
        ...delivery,
        payload: '{}',
        strict: this.strict,
        object: null,
        atLeastOnce: false,
        traceparent: undefined,
        eventReceivedAt: '2026-11-21T10:00:00Z',
      },
    ]);
  }

  private async work(outcomes: readonly Fate[]): Promise<number> {
    const timesRunOut = this.timesRunOut;
    const room = { tenant: this.tenant, destination: 'd', free: outcomes.length, concurrency: 100, mode: 'shared' as const };
    const claimed = (await table.claim([room], 60_000)).deliveries;
    if (timesRunOut !== this.timesRunOut) return claimed.length; // the claims are over: nothing is sent
    const by = (...some: Fate[]) => claimed.filter((_, at) => some.includes(outcomes[at]!));
    this.effects.push(...by('arrives', 'lostAfter', 'late').map(({ id }) => id));
    this.late.push(...by('late'));
    await Promise.all([
      this.settle(by('arrives'), 'delivered'),
      this.settle(by('fails'), 'pending'),
      this.settle(by('isRefused'), 'parked'),
    ]);
    return claimed.length;
  }

  private async settle(deliveries: readonly ClaimedDelivery[], state: AttemptResult['state']): Promise<void> {
    const at = new Date();
    const error = state === 'delivered' ? null : { code: 'delivery.unavailable', message: 'down' };
    const attempt = {
      startedAt: at,
      finishedAt: at,
      status: 200,
      excerpt: '',
      error,
      isUncertain: false,
      state,
      retryInMs: state === 'pending' ? 0 : null,
    };
    if (deliveries.length > 0) await table.settle(deliveries.map((delivery) => ({ delivery, attempt })));
  }

  private async claimsRunOut(): Promise<void> {
    this.timesRunOut += 1;
    await database.query(runOut, [this.tenant]);
  }

  private async operate(kind: 'redeliver' | 'skip'): Promise<boolean> {
    const parked = (await this.rows()).find(({ state }) => state === 'parked');
    if (parked === undefined) return false;
    this.commands += 1;
    const command = `cmd_${this.commands}`;
    if (kind === 'skip') this.givenUp.add(parked.id);
    await (kind === 'skip' ? table.skip(this.tenant, parked.id, command) : table.restart(this.tenant, parked.id, command, false));
    return true;
  }
}

function byCustomer(all: readonly Row[]): Row[][] {
  return [...Map.groupBy(all, ({ customer }) => customer).values()];
}

/** Whatever waits has somebody whose turn it is; where there is none, a parked delivery of a strict destination holds the queue. */
function expectNobodyForgotten(all: readonly Row[], strict: boolean): void {
  for (const queue of byCustomer(all)) {
    const waiting = queue.filter(({ state }) => state === 'pending');
    const inTurn = waiting.filter(({ hasTurn }) => hasTurn);
    expect(inTurn.length).toBeLessThanOrEqual(2);
    const holder = queue.find(({ state, aside }) => !aside && (state === 'pending' || (strict && state === 'parked')));
    if (holder?.state === 'pending') expect(inTurn).toContainEqual(holder);
    if (waiting.some(({ aside }) => aside)) expect(inTurn.some(({ aside }) => aside)).toBe(true);
  }
}

async function play(strict: boolean, script: readonly (readonly Action[])[]): Promise<World> {
  const world = new World(strict);
  for (const round of script) {
    await Promise.all(round.map((one) => world.act(one)));
    expectNobodyForgotten(await world.rows(), strict);
  }
  await world.drain();
  const all = await world.rows();
  expect(all.filter(({ state }) => state !== 'delivered' && state !== 'skipped')).toEqual([]);
  const taken = new Set(world.effects);
  expect(all.filter(({ id, state }) => state === 'delivered' && !taken.has(id))).toEqual([]);
  return world;
}

const runs = { numRuns: 20, endOnFailure: true };

test('strict: whatever fails, dies or comes late, the destination first takes a customer’s deliveries in their order', async () => {
  await fc.assert(
    fc.asyncProperty(rounds, async (script) => {
      const world = await play(true, script);
      const position = new Map((await world.rows()).map((row) => [row.id, row]));
      const firsts = [...new Set(world.effects)].filter((id) => !world.givenUp.has(id)).map((id) => position.get(id)!);
      for (const queue of byCustomer(firsts)) {
        expect(queue.map((row) => row.position)).toEqual(queue.map((row) => row.position).toSorted((one, other) => one - other));
      }
    }),
    runs,
  );
});

test('best effort: whatever fails, dies or comes late, nothing is lost or forgotten', async () => {
  await fc.assert(
    fc.asyncProperty(rounds, async (script) => void (await play(false, script))),
    runs,
  );
});
