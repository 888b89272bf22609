import fc from 'fast-check';
import { expect, test } from 'vitest';
import { WireReader } from './wire-reader.js';
import { WireWriter } from './wire-writer.js';

const field = fc.oneof(
  fc.record({ kind: fc.constant('int8' as const), value: fc.integer({ min: -128, max: 127 }) }),
  fc.record({ kind: fc.constant('int16' as const), value: fc.integer({ min: -32_768, max: 32_767 }) }),
  fc.record({ kind: fc.constant('int32' as const), value: fc.integer() }),
  fc.record({ kind: fc.constant('int64' as const), value: fc.maxSafeInteger() }),
  fc.record({ kind: fc.constant('string' as const), value: fc.string({ unit: 'grapheme', maxLength: 700 }) }),
  fc.record({ kind: fc.constant('buffer' as const), value: fc.uint8Array({ maxLength: 700 }).map((bytes) => Buffer.from(bytes)) }),
);

test('what is written is read back, however the fields fall onto buffers', () => {
  fc.assert(
    fc.property(fc.array(field, { maxLength: 100 }), (fields) => {
      const writer = new WireWriter();
      for (const { kind, value } of fields) (writer[kind] as (value: unknown) => WireWriter).call(writer, value);
      const reader = new WireReader(Buffer.concat(writer.parts()));
      for (const { kind, value } of fields) expect(reader[kind]()).toEqual(value);
      expect(() => reader.int8()).toThrow('the request ends too early');
    }),
  );
});

test('null strings, null arrays and booleans keep their meaning', () => {
  const bytes = Buffer.concat(new WireWriter().string(null).int32(-1).boolean(true).parts());
  const reader = new WireReader(bytes);
  expect([reader.nullableString(), reader.nullableArray(() => 0), reader.boolean()]).toEqual([null, null, true]);
  expect(() => new WireReader(bytes).string()).toThrow('null where the protocol wants a string');
});

test('an array that claims more items than the request has bytes is refused before it is made', () => {
  const reader = new WireReader(Buffer.concat(new WireWriter().int32(2_000_000_000).parts()));
  expect(() => reader.array(() => reader.int8())).toThrow('an array of 2000000000 items in 4 bytes');
});
