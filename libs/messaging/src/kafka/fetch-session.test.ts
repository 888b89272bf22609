import { createRequire } from 'node:module';
import { expect, test } from 'vitest';
import { FetchSession } from './fetch-session.js';
import type { FetchPosition } from './fetch-session.js';

const require = createRequire(import.meta.url);

interface Decoder {
  readInt8(): number;
  readInt32(): number;
  readInt64(): { toString(): string };
  readString(): string;
  readArray<T>(item: (decoder: Decoder) => T): T[];
}
const KafkajsDecoder = require('kafkajs/src/protocol/decoder.js') as new (bytes: Buffer) => Decoder;

/** A broker that keeps a session with this id, and what it was asked, as text. */
function brokerWith(sessionId: number) {
  const asked: string[] = [];
  const next = { errorCode: 0, fault: undefined as Error | undefined };
  const send = async (sent: object) => {
    const { request } = sent as { request: { encode(): Promise<{ buffer: Buffer }> } };
    asked.push(textOf(new KafkajsDecoder((await request.encode()).buffer)));
    if (next.fault !== undefined) throw next.fault;
    return { errorCode: next.errorCode, sessionId, responses: [] };
  };
  const session = new FetchSession({ connectionPool: { send }, disconnect: async () => undefined });
  const limits = { maxWaitTime: 1, minBytes: 1, maxBytes: 1_000, maxBytesPerPartition: 100, isolationLevel: 1 };
  const fetch = async (...at: string[]) => {
    await session.fetch(at.map(positionOf), limits);
    return asked.at(-1);
  };
  return { fetch, asked, next };
}

/** `t/3@17`: offset 17 of partition 3 of the topic `t`. */
function positionOf(text: string): FetchPosition {
  const [topic, partition, offset] = text.split(/[/@]/) as [string, string, string];
  return { topic, partition: Number(partition), offset };
}

/** `session 7.1: t/0@5 t/3@17 without t/1`. */
function textOf(decoder: Decoder): string {
  for (let skipped = 0; skipped < 4; skipped += 1) decoder.readInt32(); // replica, wait, bytes
  decoder.readInt8(); // isolation level
  const [id, epoch] = [decoder.readInt32(), decoder.readInt32()];
  const asked = decoder.readArray((topic) => {
    const name = topic.readString();
    return topic.readArray((each) => {
      const partition = each.readInt32();
      each.readInt32(); // leader epoch
      const offset = each.readInt64().toString();
      each.readInt64(); // log start offset
      each.readInt32(); // bytes
      return `${name}/${partition}@${offset}`;
    });
  });
  const forgotten = decoder.readArray((topic) => {
    const name = topic.readString();
    return topic.readArray((each) => `${name}/${each.readInt32()}`);
  });
  const without = forgotten.length === 0 ? '' : ` without ${forgotten.flat().toSorted().join(' ')}`;
  return `session ${id}.${epoch}: ${asked.flat().toSorted().join(' ')}${without}`;
}

test('the first request names all partitions, and a later one those whose offset has changed', async () => {
  const { fetch } = brokerWith(7);
  expect(await fetch('t/0@5', 't/1@0', 'u/0@9')).toBe('session 0.0: t/0@5 t/1@0 u/0@9');
  expect(await fetch('t/0@5', 't/1@0', 'u/0@9')).toBe('session 7.1: ');
  expect(await fetch('t/0@5', 't/1@3', 'u/0@9')).toBe('session 7.2: t/1@3');
});

test('a partition that is paused or lost is forgotten, and named when it is back', async () => {
  const { fetch } = brokerWith(7);
  await fetch('t/0@5', 't/1@0', 'u/0@9');
  expect(await fetch('t/1@0')).toBe('session 7.1:  without t/0 u/0');
  expect(await fetch('t/1@0', 't/0@5')).toBe('session 7.2: t/0@5');
});

test('a broker that keeps no session is asked for everything each time', async () => {
  const { fetch } = brokerWith(0);
  for (let n = 0; n < 2; n += 1) expect(await fetch('t/0@5', 't/1@0')).toBe('session 0.0: t/0@5 t/1@0');
});

test('a session that the broker does not know any more, or a fetch that fails, begins a new one', async () => {
  const { fetch, next, asked } = brokerWith(7);
  await fetch('t/0@5', 't/1@0');
  next.errorCode = 70; // FETCH_SESSION_ID_NOT_FOUND
  await fetch('t/0@6', 't/1@0');
  next.errorCode = 0;
  await fetch('t/0@6', 't/1@0');
  next.fault = new Error('away');
  await expect(fetch('t/0@7', 't/1@0')).rejects.toThrow('away');
  next.fault = undefined;
  await fetch('t/0@7', 't/1@0');
  expect(asked.slice(1)).toEqual(['session 7.1: t/0@6', 'session 0.0: t/0@6 t/1@0', 'session 7.1: t/0@7', 'session 0.0: t/0@7 t/1@0']);
});
