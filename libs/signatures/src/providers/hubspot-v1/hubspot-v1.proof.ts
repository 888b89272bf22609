import { createHash } from 'node:crypto';
import { jsonHeaders } from '../../proof.js';
import type { PresetProof } from '../../proof.js';

const secret = 'yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy';
const body =
  '[{"eventId":1,"subscriptionId":12345,"portalId":62515,"occurredAt":1564113600000,"subscriptionType":"contact.creation","attemptNumber":0,"objectId":123,"changeSource":"CRM","changeFlag":"NEW","appId":54321}]';

export const hubspotV1Proof: PresetProof = {
  secrets: [{ secret }, { secret: 'another of the app' }],
  sign: (message) => ({
    headers: {
      'x-hubspot-signature': createHash('sha256')
        .update(message.key + message.body)
        .digest('hex'),
    },
    body: message.body,
  }),
  vectors: [
    {
      title: 'HubSpot’s documentation',
      secret,
      atMs: 0,
      request: { headers: { 'X-HubSpot-Signature': '232db2615f3d666fe21a8ec971ac7b5402d33b9a925784df3ca654d05f4817de' }, body },
    },
  ],
  samples: [
    {
      title: 'a contact that was created',
      headers: { ...jsonHeaders, 'x-hubspot-signature-version': 'v1' },
      body,
      events: [
        {
          eventId: '62515/12345/123/1564113600000/1',
          type: 'contact.creation',
          customer: '123',
          occurredAt: '2019-07-26T04:00:00.000Z',
        },
      ],
    },
  ],
};
