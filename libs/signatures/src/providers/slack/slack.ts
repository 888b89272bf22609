import { definePreset } from '../../preset.js';

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
  customer: ['body.team_id', 'body.team.id', 'body.enterprise_id', 'body.enterprise.id'],
  occurredAt: ['body.event_time', 'body.action_ts'],
  handshakes: [{ method: 'POST', when: [{ body: 'type', equals: 'url_verification' }], text: { body: 'challenge' } }],
  retryHours: 1,
  guide: {
    title: 'Slack',
    url: 'https://docs.slack.dev/authentication/verifying-requests-from-slack',
    secret: '8f742231b10e8888abcd99yyyzzz85a5',
    notes: `The secret is the app’s signing secret. A \`url_verification\` is verified like everything else and answered with its \`challenge\`; it is no event.
Interactive components (JSON in a form’s \`payload\`) and slash commands (a form) are events too. What comes from an app that is installed for a whole
organization names no workspace and belongs to the enterprise.`,
  },
});
