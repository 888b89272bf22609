import { createHmac } from 'node:crypto';
import { jsonHeaders } from '../../proof.js';
import type { PresetProof } from '../../proof.js';

export const intercomProof: PresetProof = {
  secrets: [{ secret: 'a1b2c3d4-e5f6-7890-abcd-ef0123456789' }, { secret: 'another' }],
  sign: ({ body, key }) => ({ headers: { 'x-hub-signature': `sha1=${createHmac('sha1', key).update(body).digest('hex')}` }, body }),
  handshakes: [
    { title: 'a probe by HEAD', request: { method: 'HEAD' }, response: { status: 200, body: '' } },
    { title: 'a GET is no handshake', request: { method: 'GET' }, response: undefined },
  ],
  samples: [
    {
      title: 'a reply in a conversation',
      headers: jsonHeaders,
      body: {
        type: 'notification_event',
        topic: 'conversation.user.replied',
        id: 'notif_ccd8a4d0-f965-11e3-a367-c779cae3e1b3',
        app_id: 'a86dr8yl',
        created_at: 1_392_731_331,
        data: {
          item: { type: 'conversation', id: '123', contacts: { type: 'contact.list', contacts: [{ type: 'contact', id: '5ba6' }] } },
        },
      },
      events: [
        {
          eventId: 'notif_ccd8a4d0-f965-11e3-a367-c779cae3e1b3',
          type: 'conversation.user.replied',
          customer: '5ba6',
          occurredAt: '2014-02-18T13:48:51.000Z',
        },
      ],
    },
  ],
};
