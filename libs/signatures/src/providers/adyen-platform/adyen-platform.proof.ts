import { createHmac } from 'node:crypto';
import { jsonHeaders } from '../../proof.js';
import type { PresetProof } from '../../proof.js';

export const adyenPlatformProof: PresetProof = {
  secrets: [
    { secret: '44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056' },
    { secret: '00112233445566778899AABBCCDDEEFF00112233445566778899AABBCCDDEEFF' },
  ],
  sign: ({ body, key }) => ({
    headers: { hmacsignature: createHmac('sha256', Buffer.from(key, 'hex')).update(body).digest('base64') },
    body,
  }),
  samples: [
    {
      title: 'an account holder who was created',
      headers: jsonHeaders,
      body: {
        type: 'balancePlatform.accountHolder.created',
        timestamp: '2024-12-15T15:42:03+01:00',
        data: { balancePlatform: 'YOUR_BALANCE_PLATFORM', accountHolder: { id: 'AH3227C223222H5HVKN9D8G8W' } },
      },
      events: [
        {
          eventId: null,
          type: 'balancePlatform.accountHolder.created',
          customer: 'AH3227C223222H5HVKN9D8G8W',
          occurredAt: '2024-12-15T14:42:03.000Z',
        },
      ],
    },
  ],
};
