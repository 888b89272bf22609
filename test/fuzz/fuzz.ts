import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { SeededRandom, startHttpSink, uniqueName, waitFor } from '#libs/testing';
import { startTimer } from '#libs/time';
import { oneProcess } from '../forms/forms.js';
import type { Form } from '../forms/forms.js';
import { applyDocuments } from './apply-documents.js';
import { drawConversation } from './conversations.js';
import type { Conversation, Target } from './conversations.js';
import { HealthWatch } from './health-watch.js';

export interface FuzzOptions {
  readonly conversations: number;
  readonly seed: number;
  /** Connections at once. */
  readonly concurrency: number;
}

export interface FuzzReport {
  /** Conversations by door and what came back: a status (101 for a socket), `reset` by us, `closed` without a response, or `silent`. */
  readonly outcomes: Readonly<Record<string, number>>;
  /** Responses with status 500, which only a defect has, as the conversations that got them. */
  readonly defects: readonly string[];
  /** The ten that took longest, without those that got 408: a body that is not complete is waited for. */
  readonly slowest: readonly SlowConversation[];
  /** The slowest answers of `/healthz`, ms. */
  readonly healthMs: { readonly p99: number; readonly longest: number };
  /** The conversations that were held during the slowest answers of `/healthz`. */
  readonly blocks: readonly Block[];
  /** Memory of the process, MiB: after a third of the conversations, after two thirds, and at the end. */
  readonly memoryMegabytes: readonly [number, number, number];
  /** True if an ordinary event is decided and delivered afterwards. */
  readonly stillWorks: boolean;
}

export interface Block {
  readonly healthMs: number;
  readonly during: readonly SlowConversation[];
}

export interface SlowConversation {
  readonly ms: number;
  readonly outcome: string;
  readonly bytes: string;
}

/** Longer than any door takes to answer or to end a slow body. */
const silenceMs = 20_000;

/**
 * Holds drawn conversations with every door of a standalone process, whose tenant has hostile expressions and schemas besides.
 * @throws Error with its output if the process ends
 */
export async function fuzz(
  { conversations, seed, concurrency }: FuzzOptions,
  note: (line: string) => void = () => undefined,
): Promise<FuzzReport> {
  const form = await oneProcess({ logPrefix: '', logLevel: 'error' });
  const sink = await startHttpSink();
  const watch = new HealthWatch();
  try {
    await form.start();
    const target = await prepare(form, sink.url);
    const blocks = new Blocks();
    watch.start(`${form.doors}/healthz`, (ms) => blocks.note(ms));
    const random = new SeededRandom(seed);
    const outcomes = new Map<string, number>();
    const defects: string[] = [];
    let slowest: SlowConversation[] = [];
    const memory: number[] = [];
    let begun = 0;
    const work = async (until: number): Promise<void> => {
      while (begun < until) {
        begun += 1;
        if (begun % 1_000 === 0) note(`${begun} of ${conversations}`);
        const conversation = drawConversation(random, target);
        const startedAt = performance.now();
        const end = blocks.begin(conversation);
        const outcome = await hold(conversation, form.doors);
        end(outcome);
        const ms = Math.round(performance.now() - startedAt);
        if (outcome !== '408' && ms > (slowest[9]?.ms ?? 0)) {
          slowest = [...slowest, { ms, outcome, bytes: beginningOf(conversation) }].toSorted((a, b) => b.ms - a.ms).slice(0, 10);
        }
        const name = `${conversation.door} ${outcome}`;
        outcomes.set(name, (outcomes.get(name) ?? 0) + 1);
        if (outcome === '500') defects.push(beginningOf(conversation));
      }
    };
    for (const third of [1, 2, 3]) {
      const until = Math.round((conversations * third) / 3);
      await Promise.all(Array.from({ length: concurrency }, () => work(until)));
      memory.push(await memoryOf(form));
    }
    const stillWorks = await isDelivered(form, target, sink);
    return {
      outcomes: Object.fromEntries([...outcomes].toSorted(([a], [b]) => (a < b ? -1 : 1))),
      defects,
      slowest,
      healthMs: await watch.stop(),
      blocks: blocks.longest,
      memoryMegabytes: memory as [number, number, number],
      stillWorks,
    };
  } catch (error) {
    throw new Error(`seed ${seed}: ${(error as Error).message}\n${form.tail()}`, { cause: error });
  } finally {
    await watch.stop();
    await form.dispose();
    await sink.stop();
  }
}

/** Notes which conversations were held while `/healthz` was slow. */
class Blocks {
  longest: Block[] = [];
  private readonly recent: { conversation: Conversation; startedAt: number; endedAt: number; outcome: string }[] = [];

  /** @returns call it with the outcome at the end of the conversation */
  begin(conversation: Conversation): (outcome: string) => void {
    const held = { conversation, startedAt: performance.now(), endedAt: Infinity, outcome: 'not ended' };
    this.recent.push(held);
    if (this.recent.length > 64) this.recent.splice(0, 1);
    return (outcome) => Object.assign(held, { outcome, endedAt: performance.now() });
  }

  note(healthMs: number): void {
    const now = performance.now();
    const during = this.recent
      .filter(({ startedAt, endedAt }) => endedAt > now - healthMs - 50 && startedAt < now)
      .map(({ conversation, startedAt, endedAt, outcome }) => ({
        ms: Math.round(Math.min(endedAt, now) - startedAt),
        outcome,
        bytes: beginningOf(conversation),
      }));
    this.longest = [...this.longest, { healthMs, during }].toSorted((a, b) => b.healthMs - a.healthMs).slice(0, 5);
  }
}

/** The beginning of its bytes, with long repetitions named and not shown. */
function beginningOf({ bytes }: Conversation): string {
  return bytes
    .subarray(0, 200_000)
    .toString('latin1')
    .replaceAll(/(.{1,6})\1{19,}/g, (run: string, unit: string) => `${unit}×${run.length / unit.length}`)
    .slice(0, 1_000);
}

/** Sends the bytes, and resolves with the status of the response, or how the connection ended. */
function hold({ bytes, pieceBytes, resetAt }: Conversation, url: string): Promise<string> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const socket = connect({ host: hostname, port: Number(port), allowHalfOpen: true });
    let response = '';
    const end = (outcome: string): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(outcome);
    };
    const statusOf = (): string => /^HTTP\/1\.1 (101|[2-5]\d\d)/m.exec(response)?.[1] ?? 'closed';
    const timer = startTimer(() => end(statusOf() === 'closed' ? 'silent' : statusOf()), silenceMs);
    socket.on('data', (chunk: Buffer) => {
      response = (response + chunk.toString('latin1')).slice(0, 10_000);
      if (/^HTTP\/1\.1 (?:101|[2-5]\d\d).*\r\n\r\n/ms.test(response)) end(statusOf());
    });
    socket.on('end', () => end(statusOf()));
    socket.on('close', () => end(statusOf()));
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED') reject(new Error('the process takes no connections any more'));
      else end(statusOf());
    });
    const write = (from: number): void => {
      if (socket.destroyed) return;
      const to = Math.min(from + pieceBytes, resetAt ?? bytes.length, bytes.length);
      socket.write(bytes.subarray(from, to), () => {
        if (to === resetAt) {
          socket.resetAndDestroy();
          end('reset');
        } else if (to < bytes.length) setImmediate(() => write(to));
      });
    };
    socket.on('connect', () => write(0));
  });
}

async function memoryOf(form: Form): Promise<number> {
  const text = await (await fetch(`${form.doors}/metrics`)).text();
  return Math.round(Number(/^process_resident_memory_bytes\S* (\S+)/m.exec(text)?.[1] ?? NaN) / 1_048_576);
}

/** A tenant whose documents are hostile, too: expressions and schemas that take long on what the conversations send. */
async function prepare(form: Form, sinkUrl: string): Promise<Target> {
  const tenant = uniqueName('fuzz');
  const secret = `whsec_${randomBytes(24).toString('base64')}`;
  const document = (kind: string, name: string, spec: object): object => ({
    apiVersion: 'millrace/v1',
    kind,
    metadata: { tenant, name },
    spec,
  });
  const documents = [
    { apiVersion: 'millrace/v1', kind: 'Tenant', metadata: { name: tenant }, spec: { displayName: 'Fuzz' } },
    document('Source', 'helpdesk', {
      scheme: 'standard-webhooks',
      secrets: [{ value: secret }],
      customer: 'body.data.customer ? body.data.customer : $match($string(body.data), /<[^>]*>|./)[0].match',
    }),
    document('Source', 'tickets', { scheme: 'api-key' }),
    document('Destination', 'crm', { kind: 'http', url: sinkUrl, secret: { value: secret } }),
    document('Flow', 'hostile', {
      on: { types: ['ticket.created'] },
      onFailure: 'skip',
      steps: [
        { id: 'loop', map: { expression: '$replace($string(event.data), /"[^"]*"|./, "")' } },
        {
          id: 'check',
          validate: { input: 'event.data', schema: { type: 'object', patternProperties: { '^(a+)+$': { uniqueItems: true } } } },
        },
      ],
    }),
    document('Flow', 'plain', {
      on: { types: ['ticket.opened'] },
      onFailure: 'skip',
      steps: [
        { id: 'copy', map: { expression: '{ "data": event.data }' } },
        { id: 'tell', deliver: { destination: 'crm' } },
      ],
    }),
  ];
  const client = await applyDocuments(form, tenant, documents);
  const { createApiKey } = await client.graphql<{ createApiKey: { key: string } }>(
    'mutation { createApiKey(input: { name: "fuzz", scopes: [INGEST, READ] }) { ... on CreateApiKeySuccess { key } } }',
  );
  const apiKey = createApiKey.key;
  await waitFor(async () => (await send(form, apiKey, uniqueName('first'))) === 202, { deadlineMs: 30_000, what: 'the key to be known' });
  return { tenant, apiKey, secret };
}

async function send(form: Form, apiKey: string, id: string): Promise<number> {
  const event = { specversion: '1.0', id, source: 'tickets', type: 'ticket.opened', subject: 'quiet', data: { id } };
  const headers = { 'content-type': 'application/cloudevents+json', authorization: `Bearer ${apiKey}` };
  return (await fetch(`${form.doors}/v1/events`, { method: 'POST', headers, body: JSON.stringify(event) })).status;
}

async function isDelivered(form: Form, { apiKey }: Target, sink: { requests: readonly { body: Buffer }[] }): Promise<boolean> {
  const id = uniqueName('last');
  if ((await send(form, apiKey, id)) !== 202) return false;
  await waitFor(async () => sink.requests.some(({ body }) => body.includes(id)), {
    deadlineMs: 120_000,
    what: 'the last event to be delivered',
  });
  return true;
}
