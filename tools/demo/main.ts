/**
 * `npm run demo`: plays five partners. Sends correctly signed webhooks to the running one-process form, follows them over GraphQL, and prints what
 * became of each. Exits with 1 when one was not delivered.
 */
import { latencyMs, sleep } from '#libs/time';
import { readCredentials } from '../credentials/credentials.js';
import { sampleWebhooks } from './samples.js';
import type { SampleWebhook } from './samples.js';
import { printTable } from './table.js';

interface Progress {
  id: string;
  state: string;
  receivedAt: string;
  runs: { decision: { queue?: string; priority?: string; summary?: string } | null; finishedAt: string | null }[];
  deliveries: { state: string; destination: string; settledAt: string | null }[];
}

const deadlineMs = 60_000;
let lastLine = '';

const credentials = readCredentials();
const sent = await Promise.all((await sampleWebhooks(credentials.secrets)).map(send));
const ids = sent.map(({ eventId }) => eventId);
const stories = await follow();
const delivered = report();
if (delivered < sent.length) for (const reason of await reasons()) console.log(`Not delivered because: ${reason}`);
process.exit(delivered === sent.length ? 0 : 1);

async function send(webhook: SampleWebhook): Promise<{ webhook: SampleWebhook; eventId: string; ackMs: number }> {
  const started = performance.now();
  const address = `${credentials.url}/webhooks/${credentials.tenant}.${webhook.source}`;
  const answer = await fetch(address, { method: 'POST', headers: webhook.headers, body: webhook.body }).catch(() =>
    fail(`Millrace does not answer at ${credentials.url}. Start it in another terminal: npm start`),
  );
  const ackMs = performance.now() - started;
  if (!answer.ok) fail(`${address} answered ${answer.status}: ${await answer.text()}`);
  const { eventIds } = (await answer.json()) as { eventIds: string[] };
  return { webhook, eventId: eventIds[0] ?? fail(`${address} named no event`), ackMs };
}

/** Asks until every event is settled or the deadline is over. */
async function follow(): Promise<Map<string, Progress>> {
  const query = `query ($ids: [ID!]!) { nodes(ids: $ids) { ... on Event {
    id state receivedAt runs { decision finishedAt } deliveries { state destination settledAt } } } }`;
  const until = performance.now() + deadlineMs;
  for (;;) {
    const { nodes } = await ask<{ nodes: (Progress | null)[] }>(query);
    const found = nodes.filter((node) => node !== null);
    const decided = found.filter((event) => event.runs.some((run) => run.decision !== null)).length;
    const settled = found.filter((event) => event.state === 'COMPLETED' || event.state === 'PARKED');
    progress(
      `accepted ${ids.length}/${ids.length}   recorded ${found.length}/${ids.length}   decided ${decided}/${ids.length}   settled ${settled.length}/${ids.length}`,
    );
    if (settled.length === ids.length || performance.now() > until) {
      if (process.stdout.isTTY) console.log();
      return new Map(found.map((event) => [event.id, event]));
    }
    await sleep(200);
  }
}

/** Asks about the events that were sent. */
async function ask<Data>(query: string): Promise<Data> {
  const answer = await fetch(`${credentials.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${credentials.apiKey}` },
    body: JSON.stringify({ query, variables: { ids } }),
  });
  const { data, errors } = (await answer.json()) as { data?: Data; errors?: unknown };
  if (data === undefined || errors !== undefined) fail(`GraphQL answered: ${JSON.stringify(errors)}`);
  return data;
}

/** The reasons that Millrace has for what was not delivered, each once. */
async function reasons(): Promise<Set<string>> {
  const query = `query ($ids: [ID!]!) { modelProviders { errorMessage } nodes(ids: $ids) { ... on Event {
    runs { errorMessage } deliveries { attempts { errorMessage } } } } }`;
  interface Failed {
    readonly errorMessage: string | null;
  }
  const { modelProviders, nodes } = await ask<{
    modelProviders: Failed[];
    nodes: ({ runs: Failed[]; deliveries: { attempts: Failed[] }[] } | null)[];
  }>(query);
  const ofEvents = nodes.flatMap((event) => [...(event?.runs ?? []), ...(event?.deliveries ?? []).flatMap(({ attempts }) => attempts)]);
  return new Set([...modelProviders, ...ofEvents].flatMap(({ errorMessage }) => errorMessage ?? []));
}

function progress(line: string): void {
  if (line === lastLine) return;
  lastLine = line;
  process.stdout.write(process.stdout.isTTY ? `\r${line}` : `${line}\n`);
}

/** Prints what became of each event. Returns how many were delivered. */
function report(): number {
  const since = (from: string, to: string | null | undefined): string => (to ? `${latencyMs(Date.parse(from), Date.parse(to))} ms` : '–');
  const rows = sent.map(({ webhook, eventId, ackMs }) => {
    const event = stories.get(eventId);
    const run = event?.runs[0];
    const delivery = event?.deliveries[0];
    return {
      from: webhook.source,
      what: webhook.what,
      acked: `${ackMs.toFixed(0)} ms`,
      decision: run?.decision ? `${run.decision.priority} → ${run.decision.queue}` : '–',
      decided: event ? since(event.receivedAt, run?.finishedAt) : '–',
      delivery: delivery ? `${delivery.state.toLowerCase()} to ${delivery.destination}` : '–',
      delivered: event ? since(event.receivedAt, delivery?.settledAt) : '–',
      event: eventId,
    };
  });
  printTable(rows);
  const completed = sent.filter(({ eventId }) => stories.get(eventId)?.state === 'COMPLETED').length;
  console.log(`\n${completed} of ${sent.length} delivered. What the destination got: ${credentials.url}/sample/crm`);
  console.log(`One event’s story: npm run -s millrace -- events get ${sent[0]?.eventId}`);
  return completed;
}

function fail(message: string): never {
  console.error(message);
  process.exit(1);
}
