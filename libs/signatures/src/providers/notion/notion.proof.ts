import { createHmac } from 'node:crypto';
import { jsonHeaders } from '../../proof.js';
import type { PresetProof } from '../../proof.js';

const secret = 'secret_tMrlL1qK5vuQAh1b6cZGhFChZTSYJlce98V0pYn7yBl';

export const notionProof: PresetProof = {
  secrets: [{ secret }, { secret: 'secret_another' }],
  sign: ({ body, key }) => ({ headers: { 'x-notion-signature': `sha256=${createHmac('sha256', key).update(body).digest('hex')}` }, body }),
  handshakes: [
    {
      title: 'a verification token that is to be entered',
      request: { body: '{"verification_token":"secret_5WbX5kEWLlfzsGNjH64I8lOO"}', headers: jsonHeaders },
      response: { status: 200, body: '' },
    },
    {
      title: 'a verification token that is active',
      request: { body: `{"verification_token":"${secret}"}`, headers: jsonHeaders },
      response: { status: 200, body: '' },
    },
    {
      title: 'a token beside other fields is refused',
      request: { body: `{"verification_token":"${secret}","type":"page.created"}`, headers: jsonHeaders },
      response: undefined,
    },
    {
      title: 'a token with a wrong signature is refused',
      request: {
        body: `{"verification_token":"${secret}"}`,
        headers: { ...jsonHeaders, 'x-notion-signature': `sha256=${'0'.repeat(64)}` },
      },
      response: undefined,
    },
  ],
  samples: [
    {
      title: 'a page that was changed',
      headers: jsonHeaders,
      body: {
        id: '367cba44-b6f3-4c92-81e7-6a2e9659efd4',
        timestamp: '2024-12-05T23:55:34.285Z',
        workspace_id: '13950b26-c203-4f3b-b97d-93ec06319565',
        type: 'page.created',
        attempt_number: 1,
        entity: { id: '153104cd-477e-809d-8dc4-ff2d96ae3090', type: 'page' },
      },
      events: [
        {
          eventId: '367cba44-b6f3-4c92-81e7-6a2e9659efd4',
          type: 'page.created',
          customer: '153104cd-477e-809d-8dc4-ff2d96ae3090',
          occurredAt: '2024-12-05T23:55:34.285Z',
        },
      ],
    },
  ],
};
