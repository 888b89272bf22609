/**
 * The baseline of the page bench: node:http reads a page of events with one named statement and answers with `JSON.stringify`. It checks no key, knows no
 * tenants and parses no query. This is the least that a list of events over HTTP does.
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Pool } from 'pg';

const [databaseUrl, size] = process.argv.slice(2);
if (databaseUrl === undefined || size === undefined) throw new Error('usage: page-baseline <database> <size>');

/** The number of connections is the default of `DATABASE_POOL_SIZE`. */
const pool = new Pool({ connectionString: databaseUrl, max: 20 });

interface Row {
  id: string;
  type: string;
  source: string;
  lane: string;
  occurredAt: Date;
  receivedAt: Date;
  customer: string;
  lastEventAt: Date;
}

const text = `SELECT e.id, e.type, e.source, e.lane, e.occurred_at AS "occurredAt", e.received_at AS "receivedAt", e.customer, c.last_event_at AS "lastEventAt"
  FROM event e JOIN customer c ON c.tenant_id = e.tenant_id AND c.customer = e.customer
  WHERE e.tenant_id = $1 ORDER BY e.received_at DESC, e.id DESC LIMIT $2`;

async function page(): Promise<string> {
  const { rows } = await pool.query<Row>({ name: 'page', text, values: ['bench', Number(size) + 1] });
  const nodes = rows
    .slice(0, Number(size))
    .map(({ customer: key, lastEventAt, ...event }) => ({ ...event, customer: { key, lastEventAt } }));
  const last = nodes.at(-1)!;
  const endCursor = Buffer.from(JSON.stringify([last.receivedAt, last.id])).toString('base64url');
  return JSON.stringify({ data: { events: { nodes, pageInfo: { hasNextPage: rows.length > nodes.length, endCursor } } } });
}

const server = createServer((request, response) => {
  request.resume().once('end', () => {
    void page().then((answer) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(answer) }).end(answer);
    });
  });
});
server.keepAliveTimeout = 60_000;
server.listen(0, '127.0.0.1');
await once(server, 'listening');
process.send!((server.address() as AddressInfo).port);
