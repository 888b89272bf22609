import { createHmac } from 'node:crypto';
import { jsonHeaders } from '../../proof.js';
import type { PresetProof } from '../../proof.js';

const metadata = { display_phone_number: '15550783881', phone_number_id: '106540352242922' };
const message = {
  from: '16505551234',
  id: 'wamid.HBgLMTY1MDM4Nzk0MzkVAgASGBQzQTRBNjU5OUFFRTAzODEwMTQ0RgA=',
  timestamp: '1749416383',
  type: 'text',
};
const sent = { id: 'wamid.HBgL2', status: 'sent', timestamp: '1750030073', recipient_id: '16505551234' };
const read = { ...sent, status: 'read', timestamp: '1750030074' };

export const whatsappProof: PresetProof = {
  secrets: [{ secret: '1f0e3dad99908345f7439f8ffabdffc4' }, { secret: 'another of the app' }],
  parameters: { verifyToken: 'meatyhamhock' },
  sign: ({ body, key }) => ({ headers: { 'x-hub-signature-256': `sha256=${createHmac('sha256', key).update(body).digest('hex')}` }, body }),
  handshakes: [
    {
      title: 'a challenge with the verify token is sent back',
      request: {
        method: 'GET',
        target: '/webhooks/acme.partner?hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=meatyhamhock',
      },
      response: { status: 200, body: '1158201444' },
    },
  ],
  samples: [
    {
      title: 'a message, and two states of another',
      headers: jsonHeaders,
      body: {
        object: 'whatsapp_business_account',
        entry: [
          {
            id: '102290129340398',
            changes: [
              { field: 'messages', value: { messaging_product: 'whatsapp', metadata, messages: [message] } },
              { field: 'messages', value: { messaging_product: 'whatsapp', metadata, statuses: [sent, read] } },
            ],
          },
        ],
      },
      events: [
        {
          eventId: message.id,
          type: 'message.text',
          customer: '16505551234',
          occurredAt: '2025-06-08T20:59:43.000Z',
          body: {
            object: 'whatsapp_business_account',
            entry: [
              {
                id: '102290129340398',
                changes: [{ field: 'messages', value: { messaging_product: 'whatsapp', metadata, messages: [message] } }],
              },
            ],
          },
        },
        { eventId: 'wamid.HBgL2/sent', type: 'status.sent', customer: '16505551234', occurredAt: '2025-06-15T23:27:53.000Z' },
        { eventId: 'wamid.HBgL2/read', type: 'status.read', customer: '16505551234', occurredAt: '2025-06-15T23:27:54.000Z' },
      ],
    },
    {
      title: 'a change of the account',
      headers: jsonHeaders,
      body: {
        object: 'whatsapp_business_account',
        entry: [{ id: '102', time: 1_739_321_024, changes: [{ field: 'account_update', value: { event: 'PARTNER_ADDED' } }] }],
      },
      events: [{ eventId: null, type: 'account_update', customer: '102', occurredAt: '2025-02-12T00:43:44.000Z' }],
    },
  ],
};
