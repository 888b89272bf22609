/**
 * The door of the floor: checks a Standard Webhooks signature, appends the body to Kafka with acks=all, and responds when it is durable. Requests that
 * come within two milliseconds share one append.
 */
import { createHmac, createSecretKey, timingSafeEqual } from 'node:crypto';
import { createServer } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { Kafka, logLevel } from 'kafkajs';
import { startTimer } from '#libs/time';
import { floorSettings } from './floor-settings.js';

const lingerMs = 2;
const { brokers, topic, secret, port } = floorSettings();
const key = createSecretKey(Buffer.from(secret.slice('whsec_'.length), 'base64'));
const producer = new Kafka({ clientId: 'floor-door', brokers, logLevel: logLevel.ERROR }).producer({ allowAutoTopicCreation: false });
let batch: Batch | undefined;

interface Batch {
  readonly messages: { key: string; value: Buffer; headers: { id: string } }[];
  readonly durable: Promise<unknown>;
}

await producer.connect();
createServer((request, response) => {
  accept(request).then(
    (status) => response.writeHead(status).end(),
    () => response.writeHead(503).end(),
  );
}).listen(port, '127.0.0.1');

async function accept(request: IncomingMessage): Promise<number> {
  const body = await buffer(request);
  const id = String(request.headers['webhook-id']);
  if (!isSigned(request, id, body)) return 401;
  const { data } = JSON.parse(body.toString('utf8')) as { data: { customer: string } };
  batch ??= open();
  batch.messages.push({ key: data.customer, value: body, headers: { id } });
  await batch.durable;
  return 200;
}

function isSigned(request: IncomingMessage, id: string, body: Buffer): boolean {
  const given = Buffer.from(String(request.headers['webhook-signature']).slice('v1,'.length), 'base64');
  const expected = createHmac('sha256', key)
    .update(`${id}.${String(request.headers['webhook-timestamp'])}.`)
    .update(body)
    .digest();
  return given.length === expected.length && timingSafeEqual(given, expected);
}

function open(): Batch {
  const messages: Batch['messages'] = [];
  const durable = new Promise<void>((resolve) => startTimer(resolve, lingerMs)).then(() => {
    batch = undefined;
    return producer.send({ topic, acks: -1, messages });
  });
  return { messages, durable };
}
