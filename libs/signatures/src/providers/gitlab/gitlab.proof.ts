import { jsonHeaders } from '../../proof.js';
import type { PresetProof } from '../../proof.js';

export const gitlabProof: PresetProof = {
  secrets: [{ secret: 'glwt-8a1b0c9d-2f6e4d3c7b5a' }, { secret: 'another token' }],
  sign: ({ body, key }) => ({ headers: { 'x-gitlab-token': key }, body }),
  mayAlter: (what) => what.includes('of the body'),
  samples: [
    {
      title: 'an issue that was opened',
      headers: {
        ...jsonHeaders,
        'x-gitlab-event': 'Issue Hook',
        'x-gitlab-event-uuid': '13792a34-cac6-4fda-95a8-c58e00a3954e',
        'idempotency-key': 'f5e5f430-f57b-4e6e-9fac-d9128cd7232f',
      },
      body: {
        object_kind: 'issue',
        project: { path_with_namespace: 'acme/shop' },
        object_attributes: { id: 301, action: 'open', updated_at: '2023-06-06T22:19:30Z' },
      },
      events: [
        {
          eventId: 'f5e5f430-f57b-4e6e-9fac-d9128cd7232f',
          type: 'Issue Hook.open',
          customer: 'acme/shop',
          occurredAt: '2023-06-06T22:19:30.000Z',
        },
      ],
    },
    {
      title: 'an issue of a GitLab that sends no id, only one that webhooks share',
      headers: { ...jsonHeaders, 'x-gitlab-event': 'Issue Hook', 'x-gitlab-event-uuid': '13792a34-cac6-4fda-95a8-c58e00a3954e' },
      body: { object_kind: 'issue', project: { path_with_namespace: 'acme/shop' }, object_attributes: { id: 301, action: 'close' } },
      events: [{ eventId: null, type: 'Issue Hook.close', customer: 'acme/shop', occurredAt: null }],
    },
  ],
};
