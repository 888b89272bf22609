import { once } from 'node:events';
import { createServer } from 'node:http';
import type { Server, ServerResponse } from 'node:http';
import { connect } from 'node:net';
import type { AddressInfo } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { signStandardWebhook } from '#libs/signatures';
import { SeededRandom } from '#libs/testing';
import { chaosKeys } from './documents.js';

export const hostileTenant = 'hostile';

/** Expressions over the text `t`, each with a text that makes it take many seconds or all memory. */
const expressions: readonly (readonly [expression: string, text: string])[] = [
  ['$count($match(t, /a[^b]*b|a/))', 'a'.repeat(8_000)],
  ['$replace(t, /<[^>]*>|./, "x")', '<'.repeat(60_000)],
  ['$count($split(t, /,/))', ','.repeat(900_000)],
  ['$reduce([1..30], function($a, $b) { $a & $a }, t)', 'xy'],
  ['($f := function($n) { $f($n + 1) }; $f(1))', 'a loop'],
];

/** How a destination of the hostile tenant answers, by the name of the destination. */
const destinations: Record<string, (response: ServerResponse) => void> = {
  hang: () => undefined,
  reset: (response) => void response.socket?.resetAndDestroy(),
  endless: (response) => {
    response.writeHead(500);
    const timer = setInterval(() => response.write('x'.repeat(1_000)), 20);
    response.on('close', () => clearInterval(timer));
  },
  later: (response) => void response.writeHead(503, { 'retry-after': '3000000' }).end(),
};

/** A text in the events of this tenant for which the model never answers. */
const hangsModel = 'The model never answers this.';

/** A schema that is within its price at apply and costs much to check: every value of a list against many alternatives. */
const dearSchema = {
  type: 'array',
  items: { anyOf: Array.from({ length: 60 }, (_, at) => ({ type: 'string', pattern: `^(a|b)*c{${at + 1}}$` })) },
};

const actionsPerSecond = 5;
const hostileDelaysMs = [200, 500];
const responseDeadlineMs = 10_000;
const head = { apiVersion: 'millrace/v1' };
const metadata = (name: string) => ({ tenant: hostileTenant, name });

const source = (name: string, customer: string): object => ({
  ...head,
  kind: 'Source',
  metadata: metadata(name),
  spec: { scheme: 'standard-webhooks', secrets: [{ value: chaosKeys.partner }], customer },
});

const flow = (name: string, steps: readonly object[]): object => ({
  ...head,
  kind: 'Flow',
  metadata: metadata(name),
  spec: { on: { sources: [name] }, steps },
});

const over = (expression: string, path: string): string => `($in := { "t": ${path} }; $in.(${expression}))`;

/** Names of the sources whose events must become a run, be held or be dead-lettered. */
export const sourcesWithFlow = ['model', 'schema', ...Object.keys(destinations), ...expressions.map((_, at) => `flow-${at}`)];

/** The outcomes of the actions. */
export interface HostileOutcomes {
  /** Number of actions by what came of them: a status, or a failure's code. */
  readonly outcomes: readonly (readonly [what: string, count: number])[];
  /** Ids of the acknowledged events. */
  readonly accepted: readonly string[];
}

/** Does what a tenant's documents and the doors allow, and some of what they refuse, at a limited rate drawn from the seed. */
export class HostileActions {
  private readonly outcomes = new Map<string, number>();
  private readonly accepted: string[] = [];
  private readonly random: SeededRandom;
  private readonly open = new Set<Promise<unknown>>();
  /** Ends the event streams that nobody reads. */
  private readonly unread = new AbortController();
  private timer: NodeJS.Timeout | undefined;
  private sent = 0;

  private constructor(
    private readonly server: Server,
    seed: number,
    private readonly only: readonly string[],
  ) {
    this.random = new SeededRandom(seed);
  }

  /** @param only beginnings of the names of the actions; all if there is none */
  static async create(seed: number, only: readonly string[]): Promise<HostileActions> {
    const server = createServer((request, response) => {
      request.on('error', () => undefined);
      request.resume().on('end', () => destinations[request.url!.slice(1)]?.(response));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new HostileActions(server, seed, only);
  }

  documents(): object[] {
    const url = `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
    return [
      { ...head, kind: 'Tenant', metadata: { name: hostileTenant }, spec: { displayName: 'Hostile' } },
      source('plain', 'body.data.customer'),
      ...expressions.flatMap(([expression], at) => [
        source(`door-${at}`, `$string(${over(expression, 'body.data.message')})`),
        source(`flow-${at}`, 'body.data.customer'),
        flow(`flow-${at}`, [{ id: 'count', map: { expression: over(expression, 'event.data.data.message') } }]),
      ]),
      source('model', 'body.data.customer'),
      flow('model', [
        {
          id: 'ask',
          infer: {
            model: 'local/rules-1',
            instructions: 'Say what it is.',
            input: 'event.data.data.value',
            output: { type: 'object' },
            timeoutMs: 3_000,
          },
        },
      ]),
      source('schema', 'body.data.customer'),
      flow('schema', [{ id: 'check', validate: { input: 'event.data.data.value', schema: dearSchema } }]),
      ...Object.keys(destinations).flatMap((name) => [
        source(name, 'body.data.customer'),
        flow(name, [{ id: 'tell', deliver: { destination: name, payload: 'event.data' } }]),
        {
          ...head,
          kind: 'Destination',
          metadata: metadata(name),
          spec: {
            kind: 'http',
            url: `${url}/${name}`,
            secret: { value: chaosKeys.destination },
            timeoutMs: 2_000,
            order: 'strict',
            retry: { delaysMs: hostileDelaysMs },
          },
        },
      ]),
    ];
  }

  act({ doors, graphql, model }: HostileTargets): void {
    this.keep(hangModel(model).catch(() => undefined)); // a model that was killed has forgotten it
    this.timer = setInterval(() => this.keep(this.doOne(doors, graphql)), 1_000 / actionsPerSecond);
  }

  rest(): void {
    clearInterval(this.timer);
  }

  /** Lets the model answer again, as every fault heals. Resolves when all requests have an outcome. */
  async finish(model: string): Promise<HostileOutcomes> {
    this.rest();
    this.unread.abort();
    while (this.open.size > 0) await Promise.all(this.open);
    await fetch(`${model}/faults`, { method: 'DELETE' });
    return { outcomes: [...this.outcomes], accepted: this.accepted };
  }

  private keep(work: Promise<unknown>): void {
    this.open.add(work);
    void work.finally(() => this.open.delete(work));
  }

  private async doOne(doors: string, graphql: string): Promise<void> {
    const at = this.random.below(expressions.length);
    const text = expressions[at]![1];
    const data = (value: string): string => `{"type":"bad","timestamp":"2026-11-21T09:00:00Z","data":${value}}`;
    const message = data(JSON.stringify({ customer: `c-${this.random.below(1_000_000)}`, message: text }));
    const value = (json: string): string => data(`{"customer":"c-${this.sent}","value":${json}}`);
    const nested = (levels: number): string => value('['.repeat(levels) + ']'.repeat(levels));
    const actions: [what: string, act: () => Promise<string>][] = [
      ['expression at the door', () => this.post(doors, `door-${at}`, message)],
      ['expression in a flow', () => this.post(doors, `flow-${at}`, message)],
      ['bad destination', () => this.post(doors, this.random.pick(Object.keys(destinations)), value('1'))],
      ['120 levels', () => this.post(doors, 'plain', nested(120))],
      ['10 000 levels', () => this.post(doors, 'plain', nested(10_000))],
      ['odd numbers', () => this.post(doors, 'plain', value(this.random.pick(['1e400', '9007199254740993', '1'.repeat(5_000)])))],
      ['2 MB', () => this.post(doors, 'plain', value(`"${'x'.repeat(2_000_000)}"`))],
      ['wrong signature', () => this.post(doors, 'plain', value('1'), 'v1,AAAA')],
      ['reset in a body', () => brokenBody(doors, this.random.between(0, 3_000))],
      ['hanging model', () => this.post(doors, 'model', value(JSON.stringify(hangsModel)))],
      ['dear schema', () => this.post(doors, 'schema', value(JSON.stringify(Array.from({ length: 2_000 }, () => 'ab'.repeat(20)))))],
      ['slow body', () => slowBody(doors)],
      ['stream that nobody reads', () => this.openStream(graphql)],
      ['large apply', () => query(graphql, largeApply, { documents: largeDocuments })],
      ['large query', () => query(graphql, `{ ${Array.from({ length: 3_000 }, (_, n) => `a${n}: __typename`).join(' ')} }`)],
    ];
    const [what, act] = this.random.pick(
      this.only.length === 0 ? actions : actions.filter(([name]) => this.only.some((only) => name.startsWith(only))),
    );
    const outcome = await act().catch((error: { code?: string; name?: string }) => error.name ?? error.code ?? 'failed');
    this.outcomes.set(`${what}: ${outcome}`, (this.outcomes.get(`${what}: ${outcome}`) ?? 0) + 1);
  }

  /** Opens a stream of changes and leaves it unread until the end. */
  private async openStream(graphql: string): Promise<string> {
    const answer = await fetch(graphql, {
      method: 'POST',
      headers: { ...operatorHeaders, accept: 'text/event-stream' },
      body: JSON.stringify({ query: 'subscription { eventChanged { __typename } }' }),
      signal: this.unread.signal,
    });
    return String(answer.status);
  }

  private async post(doors: string, name: string, body: string, signature?: string): Promise<string> {
    this.sent += 1;
    const signed = signStandardWebhook(chaosKeys.partner, {
      id: `hostile-${this.sent}`,
      timestampSeconds: Math.floor(Date.now() / 1_000),
      body,
    });
    const answer = await fetch(`${doors}/webhooks/${hostileTenant}.${name}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...signed, ...(signature && { 'webhook-signature': signature }) },
      body,
      signal: AbortSignal.timeout(responseDeadlineMs),
    });
    const text = await answer.text();
    if (answer.status === 200) this.accepted.push(...(JSON.parse(text) as { eventIds: string[] }).eventIds);
    return String(answer.status);
  }
}

/** The addresses that the tenant reaches. */
export interface HostileTargets {
  readonly doors: string;
  readonly graphql: string;
  readonly model: string;
}

const operatorHeaders = {
  'content-type': 'application/json',
  authorization: `Bearer ${chaosKeys.operator}`,
  'millrace-tenant': hostileTenant,
};

/** A trial to apply 100 documents with dear schemas. */
const largeApply = 'mutation ($documents: [JSON!]!) { applyDocuments(input: { dryRun: true, documents: $documents }) { __typename } }';
const largeDocuments = Array.from({ length: 100 }, (_, at) =>
  flow(`large-${at}`, [{ id: 'check', validate: { input: 'event.data', schema: dearSchema } }]),
);

async function hangModel(model: string): Promise<void> {
  const body = JSON.stringify([{ fault: 'hang', match: { contains: hangsModel } }]);
  await fetch(`${model}/faults`, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
}

/** Sends a body of which a byte comes every 200 ms, until the door ends the connection or five seconds have passed. */
async function slowBody(doors: string): Promise<string> {
  const socket = connect(Number(new URL(doors).port), '127.0.0.1');
  socket.on('error', () => undefined);
  socket.write(`POST /webhooks/${hostileTenant}.plain HTTP/1.1\r\nhost: localhost\r\ncontent-length: 900000\r\n\r\n`);
  for (let byte = 0; byte < 25 && !socket.destroyed; byte += 1) {
    socket.write('x');
    await pause(200);
  }
  const outcome = socket.destroyed ? 'ended' : 'sent';
  socket.destroy();
  return outcome;
}

/** Sends a part of a body and resets the connection later. */
async function brokenBody(doors: string, afterMs: number): Promise<string> {
  const socket = connect(Number(new URL(doors).port), '127.0.0.1');
  socket.on('error', () => undefined);
  socket.write(`POST /webhooks/${hostileTenant}.plain HTTP/1.1\r\nhost: localhost\r\ncontent-length: 900000\r\n\r\n{"type":`);
  await pause(afterMs);
  socket.resetAndDestroy();
  return 'sent';
}

async function query(graphql: string, text: string, variables: object = {}): Promise<string> {
  const answer = await fetch(graphql, {
    method: 'POST',
    headers: operatorHeaders,
    body: JSON.stringify({ query: text, variables }),
    signal: AbortSignal.timeout(responseDeadlineMs),
  });
  await answer.text();
  return String(answer.status);
}
