import { startHttpSink, waitFor } from '#libs/testing';
import type { HttpSink } from '#libs/testing';
import { fourProcesses } from '../forms/forms.js';
import type { Form } from '../forms/forms.js';
import { applyBenchDocuments, applyNoisyDocuments, benchKeys } from './documents.js';
import type { BenchEnvironment } from './environment.js';
import { percentile } from './numbers.js';
import type { BenchRow } from './report.js';
import { atRate, sendWebhook } from './webhooks.js';

const othersPerSecond = 40;
const others = 200;
/** Seconds of a calm phase, and of a noisy one where they take turns. */
const phaseSeconds = 8;
const noisyCustomer = 'noisy';
/** The text of the noisy customer's events, which no other event has. */
const noisyText = 'Nobody knows how long this takes.';

/** A way in which the events of one customer get stuck. */
interface Trouble {
  what: string;
  /** The source of the noisy customer's webhooks; `noisy` leads to a destination of its own. */
  source: 'github' | 'noisy';
  /** Rate of the noisy customer in all phases, the calm ones included. */
  noisyPerSecond: number;
  /** True if calm and noisy phases alternate. Otherwise the calm ones come first, and one noisy phase is as long as all of them together. */
  byTurns: boolean;
  /** Events of the noisy customer that are sent before a noisy phase is measured. Their delivery is not waited for. */
  backlog: number;
  begin(): Promise<void>;
  end(): Promise<void>;
}

/**
 * Measures how a customer whose events get stuck affects all others: their time from ack to delivery, in phases in which its destination or its model
 * hangs and in phases in which both respond. Four processes, and a steady rate that does not wait for responses. The ratio of the p99 of the odd calm
 * phases to that of the even ones is printed too: a smaller effect cannot be told from noise.
 */
export async function benchNoisy(environment: BenchEnvironment, rounds: number): Promise<BenchRow[]> {
  const { name, brokers } = environment.logs.at(-1)!;
  console.log(`${othersPerSecond} events/s of ${others} other customers, as long calm as noisy, four processes, ${name}`);
  const destinations = await startDestinations();
  await applyBenchDocuments(environment.databaseUrl, `${destinations.url}/others`);
  await applyNoisyDocuments(environment.databaseUrl, `${destinations.url}/noisy`);
  const { databaseUrl, queryDatabaseUrl } = environment;
  const { secretsKey } = benchKeys;
  const form = await fourProcesses({ logLevel: 'warn', logPrefix: 'bench-noisy.', brokers, databaseUrl, queryDatabaseUrl, secretsKey });
  await form.start();
  try {
    const phases = new NoisyPhases(form, destinations, rounds);
    const rows: BenchRow[] = [];
    for (const trouble of troubles(form, destinations)) rows.push(await phases.measure(trouble));
    return rows;
  } finally {
    destinations.answer();
    await form.dispose();
    await destinations.stop();
  }
}

function troubles(form: Form, destinations: Destinations): Trouble[] {
  const hang = async (): Promise<void> => destinations.hang();
  const answer = async (): Promise<void> => destinations.answer();
  return [
    { what: 'its own destination hangs', source: 'noisy', noisyPerSecond: 5, byTurns: true, backlog: 0, begin: hang, end: answer },
    {
      what: 'the destination of all hangs for it',
      source: 'github',
      noisyPerSecond: 5,
      byTurns: true,
      backlog: 0,
      begin: hang,
      end: answer,
    },
    {
      what: 'the model hangs for it, 3 000 events deep',
      source: 'noisy',
      noisyPerSecond: 0,
      byTurns: false,
      backlog: 3_000,
      begin: () => faults(form, 'POST', [{ fault: 'hang', match: { contains: noisyText } }]),
      end: () => faults(form, 'DELETE'),
    },
  ];
}

async function faults(form: Form, method: 'POST' | 'DELETE', script?: object): Promise<void> {
  const headers = { 'content-type': 'application/json' };
  const answer = await fetch(`${form.model}/faults`, { method, ...(script && { headers, body: JSON.stringify(script) }) });
  if (!answer.ok) throw new Error(`the local model refused the faults: ${answer.status}`);
}

/** All destinations of the bench. They can hang for the noisy customer; all other deliveries are accepted at once. */
interface Destinations extends Pick<HttpSink, 'url' | 'stop'> {
  /** Time of the first arrival by event id. */
  readonly arrivals: ReadonlyMap<string, number>;
  hang(): void;
  answer(): void;
}

async function startDestinations(): Promise<Destinations> {
  const sink = await startHttpSink();
  const arrivals = new Map<string, number>();
  let answering = Promise.withResolvers<void>();
  answering.resolve();
  sink.respondWith(async ({ body }) => {
    const { eventId, customer } = JSON.parse(body.toString('utf8')) as { eventId: string; customer: string };
    if (customer === noisyCustomer) await answering.promise;
    if (!arrivals.has(eventId)) arrivals.set(eventId, performance.now());
    return { status: 204 };
  });
  return {
    url: sink.url,
    stop: () => sink.stop(),
    arrivals,
    hang: () => {
      answering = Promise.withResolvers();
    },
    answer: () => answering.resolve(),
  };
}

/** Runs the phases: the other customers and the noisy one, at their rates. */
class NoisyPhases {
  private sent = 0;
  /** Events of others that arrived only after the trouble had ended. */
  private heldUp = 0;

  constructor(
    private readonly form: Form,
    private readonly destinations: Destinations,
    private readonly rounds: number,
  ) {}

  async measure(trouble: Trouble): Promise<BenchRow> {
    const calm: number[][] = [];
    const noisy: number[] = [];
    this.heldUp = 0;
    await this.calmPhase(trouble, 5); // warms up
    for (let round = 0; round < this.rounds; round += 1) {
      calm.push(await this.calmPhase(trouble, phaseSeconds));
      if (trouble.byTurns) noisy.push(...(await this.noisyPhase(trouble, phaseSeconds)));
    }
    if (!trouble.byTurns) noisy.push(...(await this.noisyPhase(trouble, this.rounds * phaseSeconds)));
    const all = calm.flat();
    const moved = percentile(noisy, 0.99) / percentile(all, 0.99);
    const [even, odd] = [0, 1].map((turn) => calm.filter((_, at) => at % 2 === turn).flat()) as [number[], number[]];
    const byItself = percentile(odd, 0.99) / percentile(even, 0.99);
    const heldUp = `${this.heldUp} of ${noisy.length} held up`;
    const ratio = `p99 × ${moved.toFixed(2)}; calm × ${byItself.toFixed(2)} by itself`;
    console.log(`  ${trouble.what.padEnd(44)} calm ${figures(all)}   noisy ${figures(noisy)}, ${heldUp}   ${ratio}`);
    return {
      what: `others’ ack → delivered while a noisy customer is stuck: ${trouble.what}`,
      baseline: `${figures(all)} (it is not stuck)`,
      millrace: `${figures(noisy)}, ${heldUp}`,
      ratio,
      target: 'p99 < 1.10 ×',
    };
  }

  private async calmPhase(trouble: Trouble, seconds: number): Promise<number[]> {
    const [accepted, ofNoisy] = await this.load(trouble, seconds);
    await this.delivered([...accepted.keys(), ...ofNoisy]);
    return this.latencies(accepted);
  }

  /** Ends when everything but the backlog is delivered, so that the next phase begins calm. */
  private async noisyPhase(trouble: Trouble, seconds: number): Promise<number[]> {
    await trouble.begin();
    await atRate(400, trouble.backlog / 400, async () => void (await this.send(trouble.source, noisyCustomer, noisyText)));
    const [accepted, ofNoisy] = await this.load(trouble, seconds);
    const ids = [...accepted.keys()];
    await this.delivered(ids, 5_000).catch(() => {
      this.heldUp += ids.filter((id) => !this.destinations.arrivals.has(id)).length;
    });
    await trouble.end();
    await this.delivered([...ids, ...ofNoisy]);
    return this.latencies(accepted);
  }

  /** Sends the events of a phase. Resolves with the ack times of the others' events by id, and the ids of the noisy customer's. */
  private async load({ source, noisyPerSecond }: Trouble, seconds: number): Promise<[Map<string, number>, string[]]> {
    const accepted = new Map<string, number>();
    const ofNoisy: string[] = [];
    await Promise.all([
      atRate(othersPerSecond, seconds, async (index) => {
        const id = await this.send('github', `customer-${index % others}`, 'It throws an exception.');
        accepted.set(id, performance.now());
      }),
      atRate(noisyPerSecond, seconds, async () => void ofNoisy.push(await this.send(source, noisyCustomer, noisyText))),
    ]);
    return [accepted, ofNoisy];
  }

  private send(source: string, customer: string, text: string): Promise<string> {
    this.sent += 1;
    return sendWebhook(this.form.doors, { source, delivery: `noisy-${process.pid}-${this.sent}`, customer, text });
  }

  private async delivered(ids: readonly string[], deadlineMs = 180_000): Promise<void> {
    const { arrivals } = this.destinations;
    await waitFor(() => ids.every((id) => arrivals.has(id)), { deadlineMs, what: `${ids.length} events to be delivered` });
  }

  private latencies(accepted: ReadonlyMap<string, number>): number[] {
    return [...accepted].map(([id, at]) => this.destinations.arrivals.get(id)! - at);
  }
}

function figures(values: readonly number[]): string {
  return `p50 ${percentile(values, 0.5).toFixed(0)} ms, p99 ${percentile(values, 0.99).toFixed(0)} ms`;
}
