import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { EventReceived, eventBody, lanes } from '#libs/contracts';
import type { Json } from '#libs/json';
import { EventFieldReader, eventOf } from '#libs/intake';
import { readBody } from '#libs/sources';
import type { Source } from '#libs/sources';

/** Values that an expression may read: arbitrary ones, and those at the limits of what is usable. */
const found = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 300 }),
  fc.constantFrom(
    'x'.repeat(256),
    'x'.repeat(257),
    '',
    '\u0000',
    '\ud800',
    '-',
    '-/shop',
    '\u007f',
    '\n',
    '2026-01-31t12:00:00.1+02:00',
    '2026-02-30T12:00:00Z',
  ),
  fc.double(),
  fc.integer({ min: -1e15, max: 1e15 }),
  fc.boolean(),
  fc.constant(null),
  fc.object(),
) as fc.Arbitrary<Json>;

const fields = new EventFieldReader(
  {
    eventId: ['body.id'],
    type: ['body.type'],
    typeDetail: 'body.detail',
    customer: ['body.customer'],
    occurredAt: ['body.at'],
  },
  'acme',
);

const input = fc.record({ id: found, type: found, detail: found, customer: found, at: found }, { requiredKeys: [] });

describe('what is decided about an event', () => {
  test('fits the check of its record, which is not made again at the door', async () => {
    await fc.assert(
      fc.asyncProperty(input, fc.uint8Array(), fc.nat(), fc.constantFrom(...lanes), async (body, bytes, receivedAtMs, lane) => {
        const source = { tenant: 'acme', name: 'shop', scheme: 'custom', fields, laneOf: () => lane } as unknown as Source;
        const payload = Buffer.from(bytes);
        const admitted = { source, input: { body, headers: {} }, payload, text: undefined, contentType: 'a/b', receivedAtMs };
        const event = eventOf(admitted, await fields.read(admitted.input));
        expect(EventReceived.check.parse(event)).toEqual(event);
        expect(eventBody(event).equals(payload)).toBe(true);
      }),
      { numRuns: 1_000 },
    );
  });

  test('keeps the bytes of a body that was read as text', () => {
    for (const json of ['{"a": "ü\\u0000"}', '\uFEFF[1,\r\n\t2]', '"\u007f"']) {
      const payload = Buffer.from(json);
      const { text } = readBody('application/json', payload, 'body');
      const source = { tenant: 'acme', name: 'shop', scheme: 'custom', fields, laneOf: () => 'normal' } as unknown as Source;
      const admitted = { source, input: { body: null, headers: {} }, payload, text, contentType: 'application/json', receivedAtMs: 0 };
      const event = eventOf(admitted, { eventId: null, type: null, customer: null, occurredAt: null, problems: {} });
      expect(event.body).toBe(json);
      expect(eventBody(event).equals(payload)).toBe(true);
    }
  });
});
