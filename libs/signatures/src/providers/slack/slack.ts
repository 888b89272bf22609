import { definePreset } from '../../preset.js';

/** https://docs.slack.dev/authentication/verifying-requests-from-slack */
export const slack = definePreset({
  scheme: {
    header: 'x-slack-signature',
    prefix: 'v0=',
    timestampHeader: 'x-slack-request-timestamp',
    template: 'v0:{timestamp}:{body}',
  },
  sends: ['json', 'form'],
  // Interactive components send JSON in a form; slash commands send the form's fields themselves.
  jsonField: 'payload',
  eventId: ['body.event_id', 'body.trigger_id'],
  type: ['body.event.type', 'body.type', 'body.command'],
  customer: ['body.team_id', 'body.team.id', 'body.enterprise_id'],
  occurredAt: ['body.event_time'],
  handshake: { when: 'body.type', is: 'url_verification', reply: 'body.challenge' },
});
