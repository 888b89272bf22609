import { createHmac } from 'node:crypto';
import { jsonHeaders } from '../../proof.js';
import type { PresetProof } from '../../proof.js';

const secret = "It's a Secret to Everybody";

export const bitbucketProof: PresetProof = {
  secrets: [{ secret }, { secret: 'another of the webhook' }],
  sign: ({ body, key }) => ({ headers: { 'x-hub-signature': `sha256=${createHmac('sha256', key).update(body).digest('hex')}` }, body }),
  vectors: [
    {
      title: 'Atlassian’s documentation',
      secret,
      atMs: 0,
      request: {
        headers: { 'X-Hub-Signature': 'sha256=a4771c39fbe90f317c7824e83ddef3caae9cb3d976c214ace1f2937e133263c9' },
        body: 'Hello World!',
      },
    },
  ],
  samples: [
    {
      title: 'a push to Bitbucket Cloud',
      headers: {
        ...jsonHeaders,
        'x-event-key': 'repo:push',
        'x-request-uuid': '7f2d0c0e-5b0e-4c51-9e1c-1d2f3a4b5c6d',
        'x-hook-uuid': 'h-1',
      },
      body: { repository: { workspace: { slug: 'acme' }, full_name: 'acme/shop' }, push: { changes: [] } },
      events: [{ eventId: '7f2d0c0e-5b0e-4c51-9e1c-1d2f3a4b5c6d', type: 'repo:push', customer: 'acme', occurredAt: null }],
    },
    {
      title: 'a pull request of Bitbucket Data Center',
      headers: { ...jsonHeaders, 'x-event-key': 'pr:opened', 'x-request-id': 'de305d54-75b4-431b-adb2-eb6b9e546014' },
      body: { eventKey: 'pr:opened', date: '2017-09-19T09:58:11+1000', repository: { slug: 'shop', project: { key: 'ACME' } } },
      events: [
        { eventId: 'de305d54-75b4-431b-adb2-eb6b9e546014', type: 'pr:opened', customer: 'ACME', occurredAt: '2017-09-18T23:58:11.000Z' },
      ],
    },
  ],
};
