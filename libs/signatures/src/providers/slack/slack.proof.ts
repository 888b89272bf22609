import { createHmac } from 'node:crypto';
import { jsonHeaders } from '../../proof.js';
import type { PresetProof } from '../../proof.js';

const secret = '8f742231b10e8888abcd99yyyzzz85a5';
const form = { 'content-type': 'application/x-www-form-urlencoded' };
const command =
  'token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c';

export const slackProof: PresetProof = {
  secrets: [{ secret }, { secret: 'b1c2d3e4f5a6b7c8d9e0f1a2b3c4d5e6' }],
  sign({ body, atMs, key }) {
    const timestamp = String(Math.floor(atMs / 1_000));
    const signature = createHmac('sha256', key).update(`v0:${timestamp}:${body}`).digest('hex');
    return { headers: { 'x-slack-request-timestamp': timestamp, 'x-slack-signature': `v0=${signature}` }, body };
  },
  vectors: [
    {
      title: 'Slack’s documentation, a slash command',
      secret,
      atMs: 1_531_420_618_000,
      request: {
        headers: {
          ...form,
          'X-Slack-Request-Timestamp': '1531420618',
          'X-Slack-Signature': 'v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503',
        },
        body: command,
      },
    },
  ],
  samples: [
    {
      title: 'a message in a channel',
      headers: jsonHeaders,
      body: {
        team_id: 'T123ABC456',
        api_app_id: 'A123ABC456',
        event: { type: 'message', user: 'U123ABC456', text: 'Live long and prosper', ts: '1355517523.000005' },
        type: 'event_callback',
        event_id: 'Ev123ABC456',
        event_time: 1_355_517_523,
      },
      events: [{ eventId: 'Ev123ABC456', type: 'message', customer: 'T123ABC456', occurredAt: '2012-12-14T20:38:43.000Z' }],
    },
    {
      title: 'a slash command',
      headers: form,
      body: command,
      events: [
        {
          eventId: '398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c',
          type: '/webhook-collect',
          customer: 'T1DC2JH3J',
          occurredAt: null,
        },
      ],
    },
    {
      title: 'a button in a message',
      headers: form,
      body: new URLSearchParams({
        payload: JSON.stringify({ type: 'block_actions', team: { id: 'T9TK3CUKW' }, trigger_id: '12466734323.1395872398', actions: [] }),
      }).toString(),
      events: [{ eventId: '12466734323.1395872398', type: 'block_actions', customer: 'T9TK3CUKW', occurredAt: null }],
    },
    {
      title: 'a url_verification',
      headers: jsonHeaders,
      body: { token: 'Jhj5dZrVaK7ZwHHjRyZWjbDl', challenge: '3eZbrw1aBm2rZgRNFdxV', type: 'url_verification' },
      handshake: { status: 200, body: '3eZbrw1aBm2rZgRNFdxV' },
    },
  ],
};
