import { expect, test } from 'vitest';
import { providers } from '#libs/signatures';
import type { DoorRequest } from '#libs/service';
import { eventsOf, readRequest } from './received-events.js';

const read = (body: string | Buffer) =>
  readRequest(providers.salesforce, { headers: { 'content-type': 'text/xml' }, rawBody: Buffer.from(body) } as unknown as DoorRequest);

test.each([
  ['a document type', '<!DOCTYPE a SYSTEM "http://127.0.0.1/evil.dtd"><a/>'],
  ['an external entity', '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>'],
  ['entities in entities', '<!DOCTYPE a [<!ENTITY x "y"><!ENTITY z "&x;&x;&x;">]><a>&z;</a>'],
  ['no end', '<a>'],
  ['no XML', 'text'],
  ['too many characters', `<a>${'x'.repeat(256 * 1_024)}</a>`],
  ['elements very deep in each other', '<a>'.repeat(5_000) + '</a>'.repeat(5_000)],
])('a message with %s is refused as malformed', (_, body) => {
  expect(() => read(body)).toThrow('body: is no XML that is read');
});

test('a message in another encoding than UTF-8 is refused', () => {
  expect(() => read(Buffer.from('<a>ä</a>', 'latin1'))).toThrow('body: is not UTF-8');
});

test('what is no message of notifications is one event, and keeps what it says', () => {
  const [event, ...more] = eventsOf(providers.salesforce, read('<Envelope><Body><Other>1</Other></Body></Envelope>'));
  expect(more).toEqual([]);
  expect(event!.body).toEqual({ Envelope: { Body: { Other: '1' } } });
});
