import { setTimeout as pause } from 'node:timers/promises';
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { SecretBox } from '#libs/auth';
import { OperationFailure } from '#libs/connectors';
import type { OperationCall, OperationResult, TenantConnections, Verification } from '#libs/connectors';
import { ContinueRun, document, eventId as eventIdOf } from '#libs/contracts';
import type { EventReceived } from '#libs/contracts';
import { FlowCompiler } from '#libs/flows';
import type { FlowServices } from '#libs/flows';
import type { Json } from '#libs/json';
import type { RecordContext, RecordProducer } from '#libs/messaging';
import type { InferenceRequest, ModelGateway } from '#libs/models';
import { Configuration, Database, DocumentTable, StorageUnavailable, statement } from '#libs/persistence';
import type { Statement } from '#libs/persistence';
import { freshDatabase, SeededRandom, uniqueName, waitFor } from '#libs/testing';
import type { FreshDatabase } from '#libs/testing';
import { registry, setLogLevel } from '#libs/tracing';
import { DeadLetterStore } from '../dead-letters/dead-letter.store.js';
import { FlowMatcher } from './flow.matcher.js';
import { FailedRuns } from './failed.runs.js';
import { RunAnnouncer } from './run.announcer.js';
import { RunProgressStore } from './run.progress.store.js';
import type { FirstProgress, RunProgress } from './run.progress.store.js';
import { RunService } from './run.service.js';
import { RunStore } from './run.store.js';
import { RunDrafts } from './run.drafts.js';
import { RunWorker } from './run.worker.js';
import { ReviewStore } from '../reviews/review.store.js';
import { RunWaitTable } from '../waits/run-wait.table.js';
import { RunWaker } from '../waits/run.waker.js';
import { StepResultStore } from './step-result.store.js';
import { OperationService } from '../operations/operation.service.js';

/** Short, and never renewed in time: whoever is slow is a zombie. */
const leaseMs = 150;
const blindToTime = { runRetries: 1_000_000, runLeaseMs: 600_000 };
const renewing = { runRetries: 1_000_000, runLeaseMs: leaseMs };
const events = 12;
const handlersPerEvent = 3;
/** After so many crashes and pauses everything is let through, so that the trial ends. */
const faults = 40;

let fresh: FreshDatabase;
let database: Database;
let documents: DocumentTable;
let configuration: Configuration;

beforeAll(async () => {
  setLogLevel('silent');
  fresh = await freshDatabase();
  database = await Database.connect({ url: fresh.url, role: 'millrace_service', applicationName: 'test', poolSize: 20 });
  const secretBox = new SecretBox(randomBytes(32));
  documents = new DocumentTable(secretBox);
  configuration = new Configuration(database, { secretBox });
  await configuration.start();
});
afterAll(async () => {
  await configuration.stop();
  await database.close();
  await fresh.close();
});

/** Events of a trial that Postgres does not see. */
class Trial {
  readonly tenant = uniqueName('t');
  readonly calls = new Map<string, number>();
  readonly claims: string[] = [];
  readonly announced = new Map<string, Set<string>>();
  /** Questions that were noted by a process which died before it could put them. */
  askedInVain = 0;
  /** Lost answers that a process found when it took a claim, and died before it could count them: its counter is gone with it. */
  uncounted = 0;
  faultsLeft: number;
  /** Runs whose waits are over, with how often each was told. */
  readonly woken: { eventId: string; runId: string }[] = [];
  readonly system: ForeignSystem;
  /** The same seed draws the same faults, as far as timing lets it. */
  readonly random: SeededRandom;

  constructor(
    readonly seed: number,
    most = faults,
  ) {
    this.faultsLeft = most;
    this.random = new SeededRandom(seed);
    this.system = new ForeignSystem(this);
  }

  draws(probability: number): boolean {
    if (this.faultsLeft === 0 || this.random.next() >= probability) return false;
    this.faultsLeft -= 1;
    return true;
  }

  get duplicateCalls(): number {
    return [...this.calls.values()].reduce((sum, calls) => sum + calls - 1, 0);
  }
}

/**
 * The system that operations act in. `keyed` recognises a repeat by its effect key; `marked` takes each request anew, and can be asked for it. An effect happens
 * when the request is sent; the answer may be lost, and may come late.
 */
class ForeignSystem {
  /** The effects, in their order. */
  readonly effects: { readonly operation: string; readonly key: string }[] = [];
  remembered = 0;
  found = 0;

  constructor(private readonly trial: Trial) {}

  act({ operation, effectKey }: OperationCall): { n: number } {
    const at = this.effects.findIndex(({ key }) => key === effectKey);
    if (operation === 'keyed' && at >= 0) {
      this.remembered += 1;
      return { n: at };
    }
    this.effects.push({ operation, key: effectKey });
    return { n: this.effects.length - 1 };
  }

  look({ effectKey }: OperationCall): Verification {
    const n = this.effects.findIndex(({ key }) => key === effectKey);
    if (n < 0) return { is: 'absent' };
    this.found += 1;
    return { is: 'found', operation: 'find', result: resultOf({ n }) };
  }

  /** The answer does not come, so that nobody knows. */
  loseAnswer(): void {
    if (this.trial.draws(0.2)) throw new OperationFailure('operation.unavailable', 'lost', { peer: 'unreachable', isUncertain: true });
  }
}

const resultOf = (output: Json): OperationResult => ({ output, receipt: { summary: 'status 200', detail: { status: 200 } } });

/** A process of ai-processing that crashes before or after any statement, and stops for longer than its claims last. */
class ShakyProcess {
  isDead = false;
  readonly runs: RunService;
  readonly waker: RunWaker;
  readonly waits: RunWaitTable;
  private stopped: Promise<unknown> = Promise.resolve();

  /** @param work the options of its work; {@link blindToTime}: its claims are never renewed */
  constructor(
    private readonly trial: Trial,
    work: typeof blindToTime,
  ) {
    const shaky = { query: this.query } as unknown as Database;
    const compiler = new FlowCompiler({ models: { infer: this.infer } as unknown as ModelGateway, operations: this.operations() });
    const producer = { append: this.append } as unknown as RecordProducer;
    const table = new RunStore(shaky);
    this.waits = new RunWaitTable(shaky, new ReviewStore(shaky));
    this.waker = new RunWaker(this.waits, producer);
    const worker = new RunWorker(
      table,
      new ShortLived(shaky),
      new StepResultStore(shaky),
      this.waits,
      this.waker,
      new RunDrafts(producer),
      compiler,
      configuration,
      work,
    );
    const options = { ...blindToTime, runLeaseMs: leaseMs };
    const deadLetters = new DeadLetterStore(shaky);
    const failedRuns = new FailedRuns(configuration, deadLetters);
    const announcer = new RunAnnouncer(producer, deadLetters);
    this.runs = new RunService(new FlowMatcher(configuration, compiler), table, worker, announcer, failedRuns, options);
  }

  private operations(): FlowServices['operations'] {
    const connectors = {
      operation: (_: unknown, name: string) => ({
        effect: 'write',
        idempotency: name === 'keyed' ? { class: 'key' } : { class: 'verify', operation: 'find', settleMs: 0, otherwise: 'park' },
      }),
      run: this.act,
      verify: this.look,
    };
    const open = (tenant: string, name: string): object => ({ tenant, name, connector: 'desk', settings: {}, timeoutMs: 1_000 });
    return new OperationService({ open, connectors } as unknown as TenantConnections);
  }

  /** A process that is dead or stopped sends nothing; one that has sent has acted, whatever becomes of it. */
  private readonly act = async (call: OperationCall): Promise<OperationResult> => {
    this.throwIfDead();
    const output = this.trial.system.act(call);
    await pause(this.trial.random.next() * 20);
    if (this.trial.draws(0.1)) this.isDead = true;
    await this.stopped;
    this.throwIfDead();
    this.trial.system.loseAnswer();
    return resultOf(output);
  };

  private readonly look = async (call: OperationCall): Promise<Verification> => {
    this.throwIfDead();
    const seen = this.trial.system.look(call);
    await pause(this.trial.random.next() * 20);
    await this.stopped;
    this.throwIfDead();
    return seen;
  };

  private readonly query = async <Row>(sql: Statement, values: readonly unknown[] = []): Promise<Row[]> => {
    await this.stopped;
    if (this.trial.draws(0.05)) this.isDead = true;
    this.throwIfDead();
    const rows = await database.query<Row>(sql, values);
    this.note(sql, rows);
    if (this.trial.draws(0.05)) this.isDead = true;
    if (this.trial.draws(0.1)) this.stopped = pause(leaseMs * 2);
    await this.stopped;
    if (this.isDead) this.noteUnheard(sql, values, rows);
    this.throwIfDead();
    return rows;
  };

  private note(sql: Statement, rows: readonly unknown[]): void {
    if (sql.name !== 'run.start' && sql.name !== 'run.begin') return;
    for (const { id, fence, isClaimed = true } of rows as { id: string; fence: number; isClaimed?: boolean }[]) {
      if (isClaimed) this.trial.claims.push(`${id}/${fence}`);
    }
  }

  /** Changes in Postgres that a process which died meanwhile does not know. */
  private noteUnheard(sql: Statement, values: readonly unknown[], rows: readonly unknown[]): void {
    if (sql.name === 'run.start') {
      for (const { isClaimed, lostAnswers } of rows as { isClaimed: boolean; lostAnswers: number }[]) {
        if (isClaimed) this.trial.uncounted += lostAnswers;
      }
    }
    if (sql.name !== 'run.progress' && sql.name !== 'run.begin') return;
    const ids = values[2] as string[];
    const fences = sql.name === 'run.begin' ? ids.map(() => 1) : (values[3] as number[]);
    const [ends, unanswered] = values.slice(sql.name === 'run.begin' ? 9 : 4) as [(string | null)[], number[]];
    const held = new Set((rows as { id: string; fence: number }[]).map(({ id, fence }) => `${id}/${fence}`));
    this.trial.askedInVain += ids.filter((id, at) => held.has(`${id}/${fences[at]}`) && ends[at] === null && unanswered[at] === 1).length;
  }

  /** Each call is answered differently, as models do. */
  private readonly infer = async (request: InferenceRequest): Promise<unknown> => {
    const { event } = request.input as { event: string };
    const question = `${event}/${request.schemaName}`;
    const calls = (this.trial.calls.get(question) ?? 0) + 1;
    this.trial.calls.set(question, calls);
    await pause(this.trial.random.next() < 0.1 ? leaseMs * 1.5 : this.trial.random.next() * 20);
    await this.stopped;
    this.throwIfDead();
    const at = new Date();
    const none = {
      errorCode: null,
      errorMessage: null,
      budget: null,
      responseModel: null,
      providerRequestId: null,
      inputTokens: null,
      outputTokens: null,
      costNanos: null,
      currency: null,
    };
    await request.onAttempt({ number: 1, provider: null, model: 'm', startedAt: at, finishedAt: at, outcome: 'succeeded', ...none });
    return { output: { event, call: calls, of: request.input as Json }, model: 'm', responseModel: 'm', usage: undefined, attempts: 1 };
  };

  private readonly append = async (_: unknown, type: unknown, value: { eventId: string; runId: string }): Promise<void> => {
    await this.stopped;
    this.throwIfDead();
    if (type === ContinueRun) return void this.trial.woken.push(value);
    const said = this.trial.announced.get(value.runId) ?? new Set();
    this.trial.announced.set(value.runId, said.add(JSON.stringify(value)));
  };

  private throwIfDead(): void {
    if (this.isDead) throw new StorageUnavailable(new Error('the process is dead'));
  }
}

class ShortLived extends RunProgressStore {
  override write(progress: readonly RunProgress[]) {
    return super.write(progress, leaseMs);
  }

  override begin(first: readonly FirstProgress[]) {
    return super.begin(first, leaseMs);
  }
}

const infer = (id: string, input: string) => ({ id, infer: { model: 'm', instructions: 'x', input, output: { type: 'object' } } });
const flow = {
  steps: [
    { id: 'prepare', map: { expression: '{ "event": event.id, "at": $millis(), "luck": $random() }' } },
    infer('first', 'steps.prepare'),
    { id: 'between', map: { expression: 'steps.first' } },
    infer('second', 'steps.between'),
    { id: 'tell', deliver: { destination: 'crm' } },
  ],
  decision: 'steps',
};

const call = (id: string, operation: string) => ({ id, call: { connection: 'desk', operation } });
/** Acts before, between and after two waits, of which one is for an event that never comes. */
const patientFlow = {
  steps: [
    { id: 'prepare', map: { expression: '{ "event": event.id, "luck": $random() }' } },
    call('open', 'marked'),
    { id: 'calm', wait: { for: 50 } },
    call('note', 'keyed'),
    { id: 'next', wait: { event: { types: ['order.*'], timeout: 100 } } },
    call('close', 'marked'),
    { id: 'tell', deliver: { destination: 'crm' } },
  ],
  decision: 'steps',
};

async function applyFlow(tenant: string, spec: object): Promise<void> {
  const parsed = document.parse({ apiVersion: 'millrace/v1', kind: 'Flow', metadata: { tenant, name: 'triage' }, spec });
  await documents.save(database, { document: parsed, actor: 'test' });
  await waitFor(() => configuration.flows(tenant).length === 1, { what: 'the flow to be current' });
}

function eventOf(tenant: string, n: number): EventReceived {
  const at = '2026-11-21T10:00:00.000Z';
  return {
    eventId: eventIdOf(tenant, 'shop', { providerEventId: String(n) }),
    tenant,
    source: 'shop',
    customer: `c-${n}`,
    lane: 'normal',
    type: 'order.paid',
    providerEventId: String(n),
    occurredAt: at,
    receivedAt: at,
    contentType: 'application/json',
    body: '{}',
  };
}

/** Several processes, of which a dead one is replaced. */
class Fleet {
  private readonly processes: ShakyProcess[];

  constructor(
    private readonly trial: Trial,
    private readonly work: typeof blindToTime,
  ) {
    this.processes = Array.from({ length: 4 }, () => new ShakyProcess(trial, work));
  }

  /** Brings it again until it is handled, as the log does: to another process where the last one died. */
  async handle(event: EventReceived, what: (runs: RunService, context: RecordContext) => Promise<void>): Promise<void> {
    const context = { tenant: this.trial.tenant, customer: event.customer, signal: new AbortController().signal } as RecordContext;
    for (;;) {
      try {
        return await what(this.any().runs, context);
      } catch {
        await pause(this.trial.random.next() * leaseMs);
      }
    }
  }

  any(): ShakyProcess {
    const at = Math.floor(this.trial.random.next() * this.processes.length);
    if (this.processes[at]!.isDead) this.processes[at] = new ShakyProcess(this.trial, this.work);
    return this.processes[at]!;
  }
}

const storedRuns = statement('test.fencing.runs', 'SELECT id, event_id, generation, state, fence, decision FROM run WHERE tenant_id = $1');
const storedSteps = statement('test.fencing.steps', 'SELECT run_id, step, output FROM step_result WHERE tenant_id = $1');

async function countedDuplicates(tenant: string): Promise<number> {
  const metric = await registry.getSingleMetric('millrace_model_duplicate_inferences_total')!.get();
  return metric.values.find(({ labels }) => labels['tenant'] === tenant)?.value ?? 0;
}

test.each([1, 2, 3, 4, 5, 6])(
  'whatever crashes or stops, each run has one result, and every repeated question is counted (seed %i)',
  async (seed) => {
    const trial = new Trial(seed);
    await applyFlow(trial.tenant, flow);
    const fleet = new Fleet(trial, blindToTime);
    const all = Array.from({ length: events }, (_, n) => eventOf(trial.tenant, n));
    const handle = (event: EventReceived): Promise<void> => fleet.handle(event, (service, context) => service.runFlows(event, context));
    await Promise.all(all.flatMap((event) => Array.from({ length: handlersPerEvent }, () => handle(event))));

    const runs = await database.query<{ id: string; event_id: string; state: string; fence: number; decision: Record<string, Json> }>(
      storedRuns,
      [trial.tenant],
    );
    expect(runs.map(({ event_id: id }) => id).toSorted()).toEqual(all.map(({ eventId }) => eventId).toSorted());
    expect(runs.every(({ state }) => state === 'completed')).toBe(true);

    const steps = await database.query<{ run_id: string; step: string; output: Json }>(storedSteps, [trial.tenant]);
    for (const run of runs) {
      const outputs = Object.fromEntries(steps.filter((step) => step.run_id === run.id).map(({ step, output }) => [step, output]));
      expect(run.decision).toEqual(outputs); // so the decision was made of the stored outputs, all of them
      expect(outputs['second']).toMatchObject({ of: outputs['first'] });
      expect(outputs['first']).toMatchObject({ of: outputs['prepare'] });
      expect(trial.announced.get(run.id)?.size).toBe(1);
      const fences = trial.claims.filter((claim) => claim.startsWith(run.id)).map((claim) => Number(claim.split('/')[1]));
      expect(fences).toEqual(Array.from({ length: run.fence }, (_, before) => before + 1));
    }
    expect(await countedDuplicates(trial.tenant)).toBe(trial.duplicateCalls + trial.askedInVain - trial.uncounted);
    expect(trial.duplicateCalls).toBeGreaterThan(0); // else the trial tried nothing
  },
);

/** Wakes runs and tells them to go on until none waits, sometimes twice, as the log does. */
async function wakeAll(trial: Trial, fleet: Fleet, all: readonly EventReceived[]): Promise<void> {
  const running = new Set<Promise<void>>();
  const isOver = async (): Promise<boolean> =>
    (await database.query<{ state: string }>(storedRuns, [trial.tenant])).every(({ state }) => state === 'completed');
  while (!(await isOver())) {
    const { waker, waits } = fleet.any();
    await waker.look().catch(() => undefined); // it may die
    const untold = await waits.untold(100, leaseMs * 3).catch(() => []);
    const told = [...trial.woken.splice(0), ...untold.filter(({ tenant }) => tenant === trial.tenant)];
    for (const { eventId, runId } of told.flatMap((one) => (trial.random.next() < 0.3 ? [one, one] : [one]))) {
      const event = all.find((one) => one.eventId === eventId)!;
      const work = fleet
        .handle(event, (service, context) => service.continueRun(runId, event, context))
        .finally(() => running.delete(work));
      running.add(work);
    }
    await pause(leaseMs / 5);
  }
  await Promise.all(running);
}

test.each([11, 12, 13])(
  'whatever crashes or stops, operations of runs that wait take effect once, and each run goes on to one result (seed %i)',
  async (seed) => {
    const trial = new Trial(seed, 2 * faults);
    await applyFlow(trial.tenant, patientFlow);
    const fleet = new Fleet(trial, renewing);
    const all = Array.from({ length: events }, (_, n) => eventOf(trial.tenant, n));
    const handle = (event: EventReceived): Promise<void> => fleet.handle(event, (service, context) => service.runFlows(event, context));
    await Promise.all(all.flatMap((event) => Array.from({ length: handlersPerEvent }, () => handle(event))));
    await wakeAll(trial, fleet, all);

    const runs = await database.query<{ id: string; event_id: string; state: string; fence: number; decision: Record<string, Json> }>(
      storedRuns,
      [trial.tenant],
    );
    expect(runs.map(({ event_id: id }) => id).toSorted()).toEqual(all.map(({ eventId }) => eventId).toSorted());
    const steps = await database.query<{ run_id: string; step: string; output: Json }>(storedSteps, [trial.tenant]);
    const { effects, remembered, found } = trial.system;
    for (const run of runs) {
      const outputs = Object.fromEntries(
        steps.filter((one) => one.run_id === run.id && !one.step.includes(':')).map(({ step, output }) => [step, output]),
      );
      expect(run.decision).toEqual(outputs);
      expect(outputs).toMatchObject({ calm: { reason: 'elapsed' }, next: { reason: 'timedOut', event: null } });
      const [opened, noted, closed] = ['open', 'note', 'close'].map((step) => (outputs[step] as { n: number }).n);
      expect([opened, noted, closed].map((n) => effects[n!]!.operation)).toEqual(['marked', 'keyed', 'marked']);
      expect(opened! < noted! && noted! < closed!).toBe(true); // nothing was done again after a wait
      expect(trial.announced.get(run.id)?.size).toBe(1);
    }
    expect(new Set(effects.map(({ key }) => key)).size).toBe(3 * events);
    expect(effects).toHaveLength(3 * events);
    expect(remembered + found).toBeGreaterThan(0); // else the trial tried nothing
  },
);
