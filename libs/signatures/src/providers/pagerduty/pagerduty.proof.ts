import { createHmac } from 'node:crypto';
import { jsonHeaders } from '../../proof.js';
import type { PresetProof } from '../../proof.js';

export const pagerdutyProof: PresetProof = {
  secrets: [{ secret: 'fjQ2MB4HWfXBYvLjfPDZRjcQnWLiYbP' }, { secret: 'another' }],
  sign: ({ body, key }) => ({ headers: { 'x-pagerduty-signature': `v1=${createHmac('sha256', key).update(body).digest('hex')}` }, body }),
  samples: [
    {
      title: 'an incident that was triggered',
      headers: { ...jsonHeaders, 'x-webhook-id': '8e51a1b5-6a2e-4c3f-8f0e-0c5f2b3c4d5e' },
      body: {
        event: {
          id: '5ac64822-4adc-4fda-ade0-410becf0de4f',
          event_type: 'incident.triggered',
          resource_type: 'incident',
          occurred_at: '2020-10-02T18:45:22.169Z',
          data: { id: 'PGR0VU2', type: 'incident', service: { id: 'PF9KMXH' } },
        },
      },
      events: [
        {
          eventId: '5ac64822-4adc-4fda-ade0-410becf0de4f',
          type: 'incident.triggered',
          customer: 'PF9KMXH',
          occurredAt: '2020-10-02T18:45:22.169Z',
        },
      ],
    },
  ],
};
