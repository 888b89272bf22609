import { expect, test } from 'vitest';
import type { Json } from '#libs/json';
import { slack } from './slack.js';

test('a url_verification without a challenge is refused, and nothing else is a handshake', () => {
  const respond = (body: Json) =>
    slack.handshake!.respond({ method: 'POST', query: new URLSearchParams(), headers: {}, body, secrets: [], parameters: {} });
  expect(() => respond({ type: 'url_verification' })).toThrow('body: is a url_verification without what to reply');
  for (const body of [{ type: 'event_callback' }, [], null, 'url_verification']) expect(respond(body)).toBeUndefined();
});
