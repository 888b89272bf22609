import { createHmac } from 'node:crypto';
import { jsonHeaders } from '../../proof.js';
import type { PresetProof } from '../../proof.js';

const secret = "It's a Secret to Everybody";

export const jiraProof: PresetProof = {
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
      title: 'an issue that was created',
      headers: {
        ...jsonHeaders,
        'x-atlassian-webhook-identifier': '65d1a1d7-3e6b-4b3e-9d0f-3c6f4e2b1a00',
        'x-atlassian-webhook-retry': '1',
      },
      body: {
        timestamp: 1_525_698_237_764,
        webhookEvent: 'jira:issue_created',
        issue: { id: '99291', key: 'JRA-20002', fields: { project: { key: 'JRA' } } },
      },
      events: [
        {
          eventId: '65d1a1d7-3e6b-4b3e-9d0f-3c6f4e2b1a00',
          type: 'jira:issue_created',
          customer: 'JRA',
          occurredAt: '2018-05-07T13:03:57.764Z',
        },
      ],
    },
  ],
};
