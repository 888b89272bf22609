import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { EventRecorded, topics } from '#libs/contracts';
import { RecordProducer } from '#libs/messaging';
import { uniqueName, waitFor } from '#libs/testing';
import { QueryServer } from '../../../../test/query/query-server.js';

let server: QueryServer;
let reader: string;
const tenant = uniqueName('tenant');
beforeAll(async () => {
  server = await QueryServer.start();
  reader = await server.key(tenant, 'read');
});
afterAll(() => server.stop());

/** The queries of the document are the ones that run here. */
const page = readFileSync(new URL('../../../../docs/graphql.md', import.meta.url), 'utf8');
const [sinceThen] = /query \(\$since.*?\n}\n/s.exec(page)!;
const overlapMs = 5 * 60_000;

interface Seen {
  id: string;
  receivedAt: string;
  state: string;
}

/** A client that follows the steps of docs/graphql.md. */
class Client {
  readonly states = new Map<string, string>();
  private latest = new Date(0).toISOString();

  /** Returns what closes the connection. */
  async connect(how: 'socket' | 'stream'): Promise<() => Promise<unknown>> {
    const close = how === 'socket' ? await this.openSocket() : await this.openStream();
    const since = new Date(Math.max(0, Date.parse(this.latest) - overlapMs)).toISOString();
    const known = [...this.states].filter(([, state]) => ['RECORDED', 'RUNNING', 'DELIVERING'].includes(state)).map(([id]) => id);
    let after: string | null = null;
    do {
      const found: { events: { nodes: Seen[]; pageInfo: { hasNextPage: boolean; endCursor: string } }; nodes: (Seen | null)[] } =
        await server.data(reader, sinceThen, { since, after, known });
      for (const event of [...found.events.nodes, ...found.nodes]) if (event !== null) this.see(event);
      after = found.events.pageInfo.hasNextPage ? found.events.pageInfo.endCursor : null;
    } while (after !== null);
    return close;
  }

  private see({ id, receivedAt, state }: Seen): void {
    this.states.set(id, state);
    if (receivedAt > this.latest) this.latest = receivedAt;
  }

  private async openSocket(): Promise<() => Promise<unknown>> {
    const socket = new WebSocket(`${server.url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws', {
      headers: { authorization: `Bearer ${reader}` },
    });
    const heard = new Map<string, () => void>();
    const hears = (type: string): Promise<void> => new Promise((resolve) => heard.set(type, resolve));
    socket.on('message', (data: Buffer) => {
      const message = JSON.parse(data.toString()) as { type: string; payload: { data: { eventChanged: { event: Seen } } } };
      if (message.type === 'next') this.see(message.payload.data.eventChanged.event);
      heard.get(message.type)?.();
    });
    await once(socket, 'open');
    const [acknowledged, pong] = [hears('connection_ack'), hears('pong')];
    socket.send(JSON.stringify({ type: 'connection_init' }));
    await acknowledged;
    socket.send(JSON.stringify({ id: '1', type: 'subscribe', payload: { query: changes } }));
    socket.send(JSON.stringify({ type: 'ping' }));
    await pong;
    return () => {
      socket.close();
      return once(socket, 'close');
    };
  }

  private async openStream(): Promise<() => Promise<unknown>> {
    const leaving = new AbortController();
    const headers = { authorization: `Bearer ${reader}`, accept: 'text/event-stream', 'content-type': 'application/json' };
    const body = JSON.stringify({ query: changes });
    const response = await fetch(`${server.url}/graphql`, { method: 'POST', headers, body, signal: leaving.signal });
    const read = this.read(response);
    return () => {
      leaving.abort();
      return read;
    };
  }

  private async read(response: Response): Promise<void> {
    let text = '';
    try {
      for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
        const blocks = (text + chunk).split('\n\n');
        text = blocks.pop()!;
        for (const block of blocks) {
          const [, data] = /^event: next\ndata: (.*)$/.exec(block) ?? [];
          if (data !== undefined) this.see((JSON.parse(data) as { data: { eventChanged: { event: Seen } } }).data.eventChanged.event);
        }
      }
    } catch {
      // the client left
    }
  }
}

const changes = 'subscription { eventChanged { change event { id receivedAt state } } }';

let count = 0;
/** Records an event as the recorder does: the row, then the record. */
async function happens(): Promise<string> {
  const id = `evt_${(count += 1)}`;
  await server.rows.event({ tenant, id });
  await announce(id);
  return id;
}
async function announce(eventId: string): Promise<void> {
  const record = { tenant, customer: 'cus-1', eventId, at: new Date().toISOString(), source: 'stripe', type: 'invoice.paid' };
  await server.part(RecordProducer).append(topics.outcomes, EventRecorded, record);
}

test.each(['socket', 'stream'] as const)('a client that follows the steps misses nothing, over a %s', async (how) => {
  const client = new Client();
  const expected = new Map<string, string>();
  for (let connection = 0; connection < 3; connection += 1) {
    const close = await client.connect(how);
    const during = await happens();
    expected.set(during, 'RECORDED');
    await waitFor(() => client.states.has(during), { what: 'the change to be heard' });
    await close();
    expected.set(await happens(), 'RECORDED');
    await server.rows.run({ tenant, id: `run_${how}${connection}`, event: during }); // and it goes on while nobody listens
    expected.set(during, 'COMPLETED');
  }
  await (
    await client.connect(how)
  )();
  for (const [id, state] of expected) expect([id, client.states.get(id)]).toEqual([id, state]);
});

test('events that are recorded while the client reads the list are in the list or reported', async () => {
  const client = new Client();
  const connecting = client.connect('socket');
  const ids = await Promise.all(Array.from({ length: 50 }, () => happens()));
  const close = await connecting;
  await waitFor(() => ids.every((id) => client.states.has(id)), { what: 'every event' });
  await close();
});
