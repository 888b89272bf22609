import type { Handshake } from './handshake.js';
import { SecretTexts } from './secret-text.js';

/**
 * The handshake by GET of WebSub, as Meta has it: `hub.challenge` is sent back to a caller who knows the verify token.
 * @param parameter the parameter of the source with the token
 */
export function challengeByGet(parameter: string): Handshake {
  return {
    methods: ['GET'],
    respond({ query, parameters }) {
      const expected = parameters[parameter];
      const [token, ...more] = query.getAll('hub.verify_token');
      const challenge = query.get('hub.challenge') ?? '';
      if (expected === undefined || token === undefined || more.length > 0 || query.get('hub.mode') !== 'subscribe') return undefined;
      if (!new SecretTexts([expected]).include(token) || !/^[\w.~-]{1,256}$/.test(challenge)) return undefined;
      return { status: 200, body: challenge };
    },
  };
}
