import { createHmac } from 'node:crypto';
import { jsonHeaders } from '../../proof.js';
import type { PresetProof } from '../../proof.js';

const challenge = (query: string) => ({ method: 'GET', target: `/webhooks/acme.partner?${query}` });

export const metaProof: PresetProof = {
  secrets: [{ secret: '1f0e3dad99908345f7439f8ffabdffc4' }, { secret: 'another of the app' }],
  parameters: { verifyToken: 'meatyhamhock' },
  sign: ({ body, key }) => ({ headers: { 'x-hub-signature-256': `sha256=${createHmac('sha256', key).update(body).digest('hex')}` }, body }),
  handshakes: [
    {
      title: 'a challenge with the verify token is sent back',
      request: challenge('hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=meatyhamhock'),
      response: { status: 200, body: '1158201444' },
    },
    {
      title: 'a challenge with another token is refused',
      request: challenge('hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=guess'),
      response: undefined,
    },
    { title: 'a challenge without a token is refused', request: challenge('hub.mode=subscribe&hub.challenge=1'), response: undefined },
    {
      title: 'a challenge with two tokens is refused',
      request: challenge('hub.mode=subscribe&hub.challenge=1&hub.verify_token=meatyhamhock&hub.verify_token=meatyhamhock'),
      response: undefined,
    },
    {
      title: 'a challenge that could be a page is refused',
      request: challenge('hub.mode=subscribe&hub.challenge=%3Cscript%3E&hub.verify_token=meatyhamhock'),
      response: undefined,
    },
  ],
  samples: [
    {
      title: 'two changes of a page and a message',
      headers: jsonHeaders,
      body: {
        object: 'page',
        entry: [
          {
            id: '0',
            time: 1_520_383_571,
            changes: [
              { field: 'feed', value: { item: 'post', from: { id: '7' } } },
              { field: 'mention', value: { item: 'comment' } },
            ],
          },
          {
            id: '1',
            time: 1_458_692_752_478,
            messaging: [{ sender: { id: '5' }, timestamp: 1_458_692_752_478, message: { mid: 'mid.1457764197618:41d102a3e1ae206a38' } }],
          },
        ],
      },
      events: [
        {
          eventId: null,
          type: 'page.feed',
          customer: '7',
          occurredAt: '2018-03-07T00:46:11.000Z',
          body: {
            object: 'page',
            entry: [{ id: '0', time: 1_520_383_571, changes: [{ field: 'feed', value: { item: 'post', from: { id: '7' } } }] }],
          },
        },
        { eventId: null, type: 'page.mention', customer: '0', occurredAt: '2018-03-07T00:46:11.000Z' },
        {
          eventId: 'mid.1457764197618:41d102a3e1ae206a38',
          type: 'page.messaging',
          customer: '5',
          occurredAt: '2016-03-23T00:25:52.478Z',
        },
      ],
    },
    {
      title: 'a report without changes',
      headers: jsonHeaders,
      body: { object: 'user', entry: [{ id: '9', time: 1_520_383_571, changed_fields: ['photos'] }] },
      events: [{ eventId: null, type: 'user', customer: '9', occurredAt: '2018-03-07T00:46:11.000Z' }],
    },
  ],
};
