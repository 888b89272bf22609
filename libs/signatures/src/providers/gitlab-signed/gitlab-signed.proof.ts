import { createHmac } from 'node:crypto';
import { jsonHeaders } from '../../proof.js';
import type { PresetProof } from '../../proof.js';

export const gitlabSignedProof: PresetProof = {
  secrets: [{ secret: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw' }, { secret: 'whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD' }],
  sign({ body, id, atMs, key }) {
    const timestamp = String(Math.floor(atMs / 1_000));
    const mac = createHmac('sha256', Buffer.from(key.slice('whsec_'.length), 'base64')).update(`${id}.${timestamp}.${body}`);
    return {
      headers: { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': `v1,${mac.digest('base64')}` },
      body,
    };
  },
  samples: [
    {
      title: 'a merge request that was merged',
      headers: { ...jsonHeaders, 'x-gitlab-event': 'Merge Request Hook', 'x-gitlab-event-uuid': '13792a34-cac6-4fda-95a8-c58e00a3954e' },
      body: {
        object_kind: 'merge_request',
        project: { path_with_namespace: 'acme/shop' },
        object_attributes: { iid: 1, action: 'merge', updated_at: '2023-06-06 22:19:30 UTC' },
      },
      events: [
        { eventId: 'msg_2b7fJc0XhPq', type: 'Merge Request Hook.merge', customer: 'acme/shop', occurredAt: '2023-06-06T22:19:30.000Z' },
      ],
    },
  ],
};
