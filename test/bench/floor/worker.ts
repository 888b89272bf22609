/**
 * The worker of the floor: reads batches of at most 200 events from Kafka, and takes each through three statements: events and runs, results and
 * deliveries, settlements and attempts. Deliveries are POSTs in order per customer. There is no tenant, lease, retry, timeline or replay.
 */
import { createHmac, createSecretKey } from 'node:crypto';
import { Kafka, logLevel } from 'kafkajs';
import type { KafkaMessage } from 'kafkajs';
import pg from 'pg';
import { Pool } from 'undici';
import { assess } from '../documents.js';
import { floorSettings } from './floor-settings.js';

const maxBatch = 200;
const connections = 64;
const { brokers, topic, databaseUrl, secret, destinationUrl, modelUrl } = floorSettings();
const key = createSecretKey(Buffer.from(secret.slice('whsec_'.length), 'base64'));
const database = new pg.Pool({ connectionString: databaseUrl, max: 4 });
const { origin, pathname } = new URL(destinationUrl);
const destination = new Pool(origin, { connections });
const model = modelUrl === undefined ? undefined : new Pool(new URL(modelUrl).origin, { connections });

interface FloorEvent {
  readonly id: string;
  readonly customer: string;
  readonly body: string;
  payload: string;
  status: number;
}

const consumer = new Kafka({ clientId: 'floor-worker', brokers, logLevel: logLevel.ERROR }).consumer({ groupId: `${topic}.floor` });
await consumer.connect();
await consumer.subscribe({ topic, fromBeginning: true });
await consumer.run({
  partitionsConsumedConcurrently: 4,
  eachBatch: async (payload) => {
    const { batch } = payload;
    for (let at = 0; at < batch.messages.length; at += maxBatch) {
      const messages = batch.messages.slice(at, at + maxBatch);
      await handle(messages.map(eventOf));
      payload.resolveOffset(messages.at(-1)!.offset);
      await payload.heartbeat();
    }
  },
});

function eventOf({ key: customer, value, headers }: KafkaMessage): FloorEvent {
  return { id: String(headers!['id']), customer: String(customer), body: value!.toString('utf8'), payload: '', status: 0 };
}

async function handle(events: readonly FloorEvent[]): Promise<void> {
  const ids = events.map(({ id }) => id);
  await database.query({
    name: 'floor.record',
    text: `WITH new AS (INSERT INTO floor.event (id, customer, body) SELECT * FROM unnest($1::text[], $2::text[], $3::text[]) ON CONFLICT DO NOTHING RETURNING id)
      INSERT INTO floor.run (event) SELECT id FROM new`,
    values: [ids, events.map(({ customer }) => customer), events.map(({ body }) => body)],
  });
  await Promise.all(events.map(decide));
  await database.query({
    name: 'floor.decide',
    text: `WITH decided AS (INSERT INTO floor.result (event, decision) SELECT * FROM unnest($1::text[], $2::text[]) ON CONFLICT DO NOTHING)
      INSERT INTO floor.delivery (event, payload) SELECT * FROM unnest($1::text[], $2::text[]) ON CONFLICT DO NOTHING`,
    values: [ids, events.map(({ payload }) => payload)],
  });
  const byCustomer = Map.groupBy(events, ({ customer }) => customer);
  await Promise.all([...byCustomer.values()].map(deliverInOrder));
  await database.query({
    name: 'floor.settle',
    text: `WITH settled AS (UPDATE floor.delivery SET settled = now() FROM unnest($1::text[]) AS of (id) WHERE event = of.id)
      INSERT INTO floor.attempt (event, status) SELECT * FROM unnest($1::text[], $2::int[])`,
    values: [ids, events.map(({ status }) => status)],
  });
}

async function decide(event: FloorEvent): Promise<void> {
  const { data } = JSON.parse(event.body) as { data: { key: string } };
  if (model === undefined) {
    event.payload = JSON.stringify(data);
    return;
  }
  const { instructions, output } = assess;
  const response = await model.request({
    path: `${new URL(modelUrl!).pathname}/chat/completions`,
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: 'Bearer local' },
    body: JSON.stringify({
      model: assess.model,
      messages: [
        { role: 'system', content: instructions },
        { role: 'user', content: JSON.stringify({ data }) },
      ],
      response_format: { type: 'json_schema', json_schema: { name: 'assess', strict: true, schema: output } },
    }),
  });
  const { choices } = (await response.body.json()) as { choices: [{ message: { content: string } }] };
  event.payload = JSON.stringify({ key: data.key, decision: JSON.parse(choices[0].message.content) });
}

async function deliverInOrder(events: readonly FloorEvent[]): Promise<void> {
  for (const event of events) {
    const { id, payload } = event;
    const timestamp = Math.floor(Date.now() / 1_000);
    const mac = createHmac('sha256', key).update(`${id}.${timestamp}.`).update(payload).digest('base64');
    const { statusCode, body } = await destination.request({
      path: pathname,
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'webhook-id': id,
        'webhook-timestamp': String(timestamp),
        'webhook-signature': `v1,${mac}`,
      },
      body: payload,
    });
    await body.dump();
    event.status = statusCode;
  }
}
