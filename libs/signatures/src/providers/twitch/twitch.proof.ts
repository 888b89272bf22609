import { createHmac } from 'node:crypto';
import { jsonHeaders } from '../../proof.js';
import type { PresetProof } from '../../proof.js';

const subscription = { id: 'f1c2a387-161a-49f9-a165-0f21d7a4e1c4', type: 'channel.follow', condition: { broadcaster_user_id: '12826' } };

export const twitchProof: PresetProof = {
  secrets: [{ secret: 's3cRe7-of-the-subscription' }, { secret: 'another of a subscription' }],
  sign({ body, id, atMs, key }) {
    const timestamp = new Date(atMs).toISOString().replace('Z', '123456Z');
    const signature = createHmac('sha256', key)
      .update(id + timestamp + body)
      .digest('hex');
    return {
      headers: {
        'twitch-eventsub-message-id': id,
        'twitch-eventsub-message-timestamp': timestamp,
        'twitch-eventsub-message-signature': `sha256=${signature}`,
      },
      body,
    };
  },
  samples: [
    {
      title: 'a channel that is followed',
      headers: {
        ...jsonHeaders,
        'twitch-eventsub-message-type': 'notification',
        'twitch-eventsub-subscription-type': 'channel.follow',
      },
      body: { subscription, event: { user_id: '1337', broadcaster_user_id: '12826' } },
      events: [{ eventId: 'msg_2b7fJc0XhPq', type: 'channel.follow', customer: '12826', occurredAt: null }],
    },
    {
      title: 'a subscription that was revoked',
      headers: { ...jsonHeaders, 'twitch-eventsub-message-type': 'revocation' },
      body: { subscription: { ...subscription, status: 'authorization_revoked' } },
      events: [{ eventId: 'msg_2b7fJc0XhPq', type: 'revocation', customer: '12826', occurredAt: null }],
    },
    {
      title: 'a webhook_callback_verification',
      headers: { ...jsonHeaders, 'twitch-eventsub-message-type': 'webhook_callback_verification' },
      body: { challenge: 'pogchamp-kappa-360noscope-vohiyo', subscription },
      handshake: { status: 200, body: 'pogchamp-kappa-360noscope-vohiyo' },
    },
  ],
};
