import { startHttpSink, waitFor } from '#libs/testing';
import { latencyMs } from '#libs/time';
import { fourProcesses } from '../forms/forms.js';
import type { Form } from '../forms/forms.js';
import { applyBenchDocuments, benchKeys } from './documents.js';
import type { BenchEnvironment } from './environment.js';
import { percentile } from './numbers.js';
import type { BenchRow } from './report.js';
import { readEvents } from './timeline.js';
import { atRate, sendWebhook } from './webhooks.js';

const eventsPerSecond = 40;
const seconds = 15;
const customers = 200;

/**
 * Measures the time from a partner's ack to the delivery at the destination, through the log, the local model and a real POST, with the four services
 * in processes of their own. Events of many customers are sent at a steady rate that does not wait for responses (open loop).
 */
export async function benchLatency(environment: BenchEnvironment): Promise<BenchRow[]> {
  const rows: BenchRow[] = [];
  console.log(`Accept → delivered (${eventsPerSecond} events/s for ${seconds} s, ${customers} customers, four processes, local model)`);
  for (const log of environment.logs) {
    const sink = await startHttpSink();
    const arrivals = new Map<string, number>();
    sink.respondWith((request) => {
      const { eventId } = JSON.parse(request.body.toString('utf8')) as { eventId: string };
      if (!arrivals.has(eventId)) arrivals.set(eventId, performance.now());
      return { status: 204 };
    });
    await applyBenchDocuments(environment.databaseUrl, sink.url);
    const form = await fourProcesses({
      logLevel: 'warn',
      logPrefix: 'bench-latency.',
      brokers: log.brokers,
      databaseUrl: environment.databaseUrl,
      queryDatabaseUrl: environment.queryDatabaseUrl,
      secretsKey: benchKeys.secretsKey,
    });
    await form.start();
    await send(form, 'warm-up', 2); // not counted
    const accepted = await send(form, log.name, seconds);
    await waitFor(() => [...accepted.keys()].every((id) => arrivals.has(id)), { deadlineMs: 60_000, what: 'every event to be delivered' });
    const delivered = [...accepted].map(([id, at]) => arrivals.get(id)! - at);
    const stages = await stageTimes(form, [...accepted.keys()]);
    rows.push(rowOf(log.name, 'ack → delivered', delivered));
    rows.push(rowOf(log.name, 'received → recorded', stages.recorded));
    rows.push(rowOf(log.name, 'received → decided', stages.decided));
    await form.dispose();
    await sink.stop();
  }
  return rows;
}

function rowOf(log: string, what: string, values: readonly number[]): BenchRow {
  const at = (p: number): string => `${percentile(values, p).toFixed(0)} ms`;
  const figures = `p50 ${at(0.5)}, p99 ${at(0.99)}`;
  console.log(`  ${log.padEnd(14)} ${what.padEnd(20)} ${figures} of ${values.length} events`);
  return { what: `${what}, ${log}`, baseline: '–', millrace: figures, ratio: '–' };
}

/** Sends at the rate. Resolves with the time of the ack by event id. */
async function send(form: Form, run: string, forSeconds: number): Promise<Map<string, number>> {
  const accepted = new Map<string, number>();
  await atRate(eventsPerSecond, forSeconds, async (index) => {
    const delivery = `${run}-${process.pid}-${index}`;
    const webhook = { source: 'github', delivery, customer: `customer-${index % customers}`, text: 'It throws an exception.' };
    accepted.set(await sendWebhook(form.doors, webhook), performance.now());
  });
  return accepted;
}

/** Times in ms from the receipt of each event to its row in Postgres and to its decision, by the clocks of the services. */
async function stageTimes(form: Form, ids: readonly string[]): Promise<{ recorded: number[]; decided: number[] }> {
  const times = { recorded: [] as number[], decided: [] as number[] };
  const events = await readEvents<{ receivedAt: string; recordedAt: string; runs: { finishedAt: string }[] }>(
    form,
    ids,
    'receivedAt recordedAt runs { finishedAt }',
  );
  for (const { receivedAt, recordedAt, runs } of events) {
    times.recorded.push(latencyMs(Date.parse(receivedAt), Date.parse(recordedAt)));
    times.decided.push(latencyMs(Date.parse(receivedAt), Date.parse(runs[0]!.finishedAt)));
  }
  return times;
}
