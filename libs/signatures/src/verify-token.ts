import type { SourceHandshakeInput } from '#libs/contracts';

/**
 * The handshake by GET of WebSub, as Meta has it: `hub.challenge` is sent back to a caller who knows the verify token.
 * @param parameter the parameter of the source with the token
 */
export function challengeByGet(parameter: string): SourceHandshakeInput {
  return {
    method: 'GET',
    when: [
      { query: 'hub.mode', equals: 'subscribe' },
      { query: 'hub.verify_token', parameter },
    ],
    text: { query: 'hub.challenge' },
  };
}
