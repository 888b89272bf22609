import { createHmac } from 'node:crypto';
import { jsonHeaders } from '../../proof.js';
import type { PresetProof } from '../../proof.js';

export const sentryProof: PresetProof = {
  secrets: [{ secret: '8f2a0c5d1e7b4a3f9c6d2e8b7a1f0c5d' }, { secret: 'another' }],
  sign: ({ body, key }) => ({ headers: { 'sentry-hook-signature': createHmac('sha256', key).update(body).digest('hex') }, body }),
  samples: [
    {
      title: 'an issue that was created',
      headers: {
        ...jsonHeaders,
        'request-id': 'd7a5b1c0e2f34a6b8c9d0e1f2a3b4c5d',
        'sentry-hook-resource': 'issue',
        'sentry-hook-timestamp': '1686089970',
      },
      body: { action: 'created', installation: { uuid: 'i-1' }, data: { issue: { id: '1', project: { slug: 'shop' } } } },
      events: [
        {
          eventId: 'd7a5b1c0e2f34a6b8c9d0e1f2a3b4c5d',
          type: 'issue.created',
          customer: 'shop',
          occurredAt: '2023-06-06T22:19:30.000Z',
        },
      ],
    },
    {
      title: 'a component’s request without a body',
      headers: { ...jsonHeaders, 'request-id': 'r-2', 'sentry-hook-resource': 'select_options' },
      body: '',
      events: [{ eventId: 'r-2', type: 'select_options', customer: null, occurredAt: null, body: null }],
    },
  ],
};
