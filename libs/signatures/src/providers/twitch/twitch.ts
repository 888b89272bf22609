import { definePreset } from '../../preset.js';

export const twitch = definePreset({
  scheme: {
    header: 'twitch-eventsub-message-signature',
    prefix: 'sha256=',
    idHeader: 'twitch-eventsub-message-id',
    timestampHeader: 'twitch-eventsub-message-timestamp',
    timestampUnit: 'rfc3339',
    toleranceSeconds: 600,
    template: '{id}{timestamp}{body}',
  },
  sends: ['json'],
  eventId: ['headers."twitch-eventsub-message-id"'],
  type: [
    'headers."twitch-eventsub-message-type" = "revocation" ? "revocation"',
    'body.subscription.type',
    'headers."twitch-eventsub-subscription-type"',
  ],
  customer: [
    'body.event.broadcaster_user_id',
    'body.subscription.condition.broadcaster_user_id',
    'body.event.user_id',
    'body.subscription.id',
  ],
  occurredAt: ['headers."twitch-eventsub-message-timestamp"'],
  handshakes: [
    {
      method: 'POST',
      when: [{ header: 'twitch-eventsub-message-type', equals: 'webhook_callback_verification' }],
      text: { body: 'challenge' },
    },
  ],
  retryHours: undefined,
  guide: {
    title: 'Twitch',
    url: 'https://dev.twitch.tv/docs/eventsub/handling-webhook-events/',
    secret: 's3cRe7-of-the-subscription',
    notes: `The secret is the one that the subscription was made with. A \`webhook_callback_verification\` is verified like everything else and answered with its
challenge. When Twitch ends a subscription, an event of the type \`revocation\` says why. The tolerance is the ten minutes that Twitch recommends.`,
  },
});
