import { expect, test } from 'vitest';
import type { Json } from '#libs/json';
import { respondTo } from '../../handshake.js';
import { slack } from './slack.js';

test('a url_verification without a challenge is refused, and nothing else is a handshake', () => {
  const respond = (body: Json) =>
    respondTo(slack.handshakes, {
      method: 'POST',
      isSigned: true,
      query: new URLSearchParams(),
      headers: {},
      body,
      parameters: {},
      key: undefined,
    });
  expect(() => respond({ type: 'url_verification' })).toThrow('body: is a url_verification without what to reply');
  for (const body of [{ type: 'event_callback' }, [], null, 'url_verification']) expect(respond(body)).toBeUndefined();
});
