import { connectorConformance, pauseMs } from '../connector.conformance.js';
import { generalChannel, startSlackStandIn } from './slack.stand-in.js';

const no = (error: string) => ({ status: 200, body: { ok: false, error } });
const pause = { 'retry-after': String(pauseMs / 1_000) };
const message = (text: string) => ({ channel: generalChannel, text });

connectorConformance({
  name: 'slack',
  start: startSlackStandIn,
  settings: ({ url }) => ({ base: `${url}/api` }),
  writes: [
    { operation: 'postMessage', input: message('Hello'), effects: ({ channels }) => channels.get(generalChannel)!.length },
    {
      operation: 'replyToMessage',
      input: { ...message('An answer'), thread_ts: '1.000001' },
      effects: ({ channels }) => channels.get(generalChannel)!.length,
    },
    {
      operation: 'updateMessage',
      input: { ...message('Bye'), ts: '1.000001' },
      effects: ({ channels }) => channels.get(generalChannel)!.filter(({ text }) => text === 'Bye').length,
      prepare: ({ channels }) => void channels.get(generalChannel)!.push({ ts: '1.000001', text: 'Hello' }),
    },
  ],
  answers: [
    { as: 'permanent', ...no('channel_not_found') },
    { as: 'permanent', ...no('invalid_blocks') },
    { as: 'limited', status: 429, headers: pause, body: { ok: false, error: 'ratelimited' } },
    { as: 'credential', ...no('token_revoked') },
    { as: 'credential', ...no('missing_scope') },
    { as: 'credential', status: 401 },
    { as: 'uncertain', ...no('fatal_error') },
    { as: 'uncertain', status: 503, body: {} },
  ],
  others: [no('already_reacted'), no('users_not_found')],
  lists: [
    {
      operation: 'listChannels',
      input: {},
      count: 501,
      prepare: ({ channels }) => {
        for (let at = 2; at <= 501; at += 1) channels.set(`C${at}`, []);
      },
    },
  ],
  hostile: [
    { operation: 'postMessage', input: message, seen: ({ body }) => (body as { text: string }).text },
    { operation: 'postMessage', input: (channel) => ({ channel, text: 'x' }), seen: ({ body }) => (body as { channel: string }).channel },
    { operation: 'findUserByEmail', input: (email) => ({ email }), seen: ({ query }) => query.get('email') },
  ],
});
