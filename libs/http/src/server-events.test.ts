import fc from 'fast-check';
import { expect, test } from 'vitest';
import { serverEvents } from './server-events.js';
import type { ServerEvent } from './server-events.js';

const text =
  ': hello\n\nevent: accepted\ndata: {}\n\nid: 1.1\nevent: draft\ndata: {"text":"ä€"}\r\n\r\ndata:one\ndata: two\n\nid: 2\n\nevent: cut\ndata: o';
const events: ServerEvent[] = [
  { id: undefined, event: 'accepted', data: '{}' },
  { id: '1.1', event: 'draft', data: '{"text":"ä€"}' },
  { id: undefined, event: '', data: 'one\ntwo' },
];

async function* pieces(bytes: Buffer, cuts: readonly number[]): AsyncGenerator<Uint8Array> {
  let from = 0;
  for (const cut of [...cuts, bytes.length].toSorted((a, b) => a - b)) {
    yield bytes.subarray(from, cut);
    from = cut;
  }
}

test('events are the same wherever the connection cuts their bytes', async () => {
  const bytes = Buffer.from(text);
  const cuts = fc.array(fc.nat({ max: bytes.length }), { maxLength: 20 });
  await fc.assert(
    fc.asyncProperty(cuts, async (some) => {
      const read: ServerEvent[] = [];
      for await (const event of serverEvents(pieces(bytes, some))) read.push(event);
      expect(read).toEqual(events);
    }),
  );
});
