import { ErrorCode, WebClient } from '@slack/web-api';
import { expect, test } from 'vitest';
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

test('Slack’s own client is satisfied by the stand-in', async () => {
  const standIn = await startSlackStandIn();
  const slack = new WebClient('xoxb-1', { slackApiUrl: `${standIn.url}/api/`, retryConfig: { retries: 0 }, rejectRateLimitedCalls: true });
  expect(await slack.auth.test()).toMatchObject({ ok: true, team: 'Acme' });
  const metadata = { event_type: 'millrace', event_payload: { delivery: 'k-1' } };
  const posted = await slack.apiCall('chat.postMessage', { channel: generalChannel, text: 'Hello', metadata });
  const { ts, channel } = posted as unknown as { ts: string; channel: string };
  expect(channel).toBe(generalChannel);
  const { messages = [] } = await slack.conversations.history({ channel: generalChannel, include_all_metadata: true, limit: 15 });
  expect(messages).toMatchObject([{ ts, text: 'Hello', metadata }]);
  await slack.chat.update({ channel: generalChannel, ts, text: 'Bye' });
  expect(standIn.channels.get(generalChannel)![0]).toMatchObject({ text: 'Bye' });
  await expect(slack.apiCall('chat.postMessage', { channel: 'C9', text: 'x' })).rejects.toMatchObject({
    code: ErrorCode.PlatformError,
    data: { error: 'channel_not_found' },
  });
  standIn.fault({ status: 429, headers: { 'retry-after': '7' }, body: { ok: false, error: 'ratelimited' } });
  await expect(slack.auth.test()).rejects.toMatchObject({ code: ErrorCode.RateLimitedError, retryAfter: 7 });
  for (let at = 2; at < 25; at += 1) standIn.channels.set(`C${at}`, []);
  const ids: string[] = [];
  for await (const page of slack.paginate('conversations.list', { limit: 10 }))
    ids.push(...(page as unknown as { channels: { id: string }[] }).channels.map(({ id }) => id));
  expect(new Set(ids).size).toBe(24);
  await standIn.stop();
});
