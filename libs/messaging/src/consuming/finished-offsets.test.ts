import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeFinished, encodeFinished, maxMetadataBytes } from './finished-offsets.js';

const finishedAbove = (committed: number) =>
  fc
    .uniqueArray(fc.integer({ min: 1, max: 20_000 }), { maxLength: 400 })
    .map((steps) => steps.toSorted((a, b) => a - b).map((step) => committed + step));

test('what was written is read again, whatever is finished', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 50 }), fc.infiniteStream(fc.nat()), (committed, picks) => {
      const [finished] = fc.sample(finishedAbove(committed), { numRuns: 1, seed: picks.next().value! }) as [number[]];
      expect(decodeFinished(committed, encodeFinished(committed, finished))).toEqual(finished);
    }),
  );
});

test('a full span fits: one open record below, one in fifty open', () => {
  const finished = Array.from({ length: 20_000 }, (_, n) => n + 1).filter((n) => n % 50 !== 0);
  const metadata = encodeFinished(0, finished);
  expect(metadata.length).toBeGreaterThan(0);
  expect(metadata.length).toBeLessThan(1_000);
  expect(decodeFinished(0, metadata)).toEqual(finished);
});

test('what does not fit into the metadata is left out', () => {
  let state = 1;
  const coin = (): boolean => (state = (state * 48_271) % 2_147_483_647) % 2 === 0;
  const finished = Array.from({ length: 60_000 }, (_, n) => n + 1).filter(coin);
  expect(encodeFinished(0, finished)).toBe('');
  expect(encodeFinished(0, finished.slice(0, 5_000)).length).toBeLessThanOrEqual(maxMetadataBytes);
});

test.each([null, '', 'v2|r|AQE', 'v1|x|AQE', 'v1|r|', 'v1|r|!!', 'v1|r|gICAgIA', 'v1|d|AAAA', 'someone else’s'])(
  'another version and garbage count as nothing finished: %s',
  (metadata) => expect(decodeFinished(7, metadata)).toEqual([]),
);

test('no text makes the reader fail or fill its memory', () => {
  fc.assert(
    fc.property(fc.constantFrom('v1|r|', 'v1|d|'), fc.uint8Array({ maxLength: 200 }), (form, bytes) => {
      const read = decodeFinished(0, form + Buffer.from(bytes).toString('base64url'));
      expect(read.length).toBeLessThanOrEqual(1 << 20);
    }),
  );
});
