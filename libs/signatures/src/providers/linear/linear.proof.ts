import { createHmac } from 'node:crypto';
import { jsonHeaders } from '../../proof.js';
import type { PresetProof } from '../../proof.js';

export const linearProof: PresetProof = {
  secrets: [{ secret: 'lin_wh_A3fX8sQ2mZ7kP0vB' }, { secret: 'lin_wh_another' }],
  sign({ body, atMs, key }) {
    const sent = body.replace('"webhookTimestamp":0', `"webhookTimestamp":${atMs}`);
    return { headers: { 'linear-signature': createHmac('sha256', key).update(sent).digest('hex') }, body: sent };
  },
  samples: [
    {
      title: 'an issue that was created',
      headers: { ...jsonHeaders, 'linear-delivery': '234d1a4e-b617-4388-90fe-adc3633d6b72', 'linear-event': 'Issue' },
      body: {
        action: 'create',
        type: 'Issue',
        createdAt: '2020-01-23T12:53:18.084Z',
        organizationId: 'o-1',
        data: { id: '539068e2-ae88-4d09-bd75-22eb4a59612f', teamId: '72b2a2dc-6f4f-4423-9d34-24b5bd10634a', title: 'It broke' },
        webhookTimestamp: 0,
        webhookId: '000042e3-d123-4980-b49f-8e140eef9329',
      },
      events: [
        {
          eventId: '234d1a4e-b617-4388-90fe-adc3633d6b72',
          type: 'Issue.create',
          customer: '72b2a2dc-6f4f-4423-9d34-24b5bd10634a',
          occurredAt: '2020-01-23T12:53:18.084Z',
        },
      ],
    },
  ],
};
