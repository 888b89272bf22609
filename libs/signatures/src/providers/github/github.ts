import { definePreset } from '../../preset.js';

export const github = definePreset({
  scheme: { header: 'x-hub-signature-256', prefix: 'sha256=' },
  sends: ['json', 'form'],
  jsonField: 'payload',
  // Not signed, but the same when a delivery is sent again; the body has no id.
  eventId: ['headers."x-github-delivery"'],
  type: ['headers."x-github-event"'],
  typeDetail: 'body.action',
  customer: ['body.repository.owner.login', 'body.organization.login', 'body.installation.account.login', 'body.sender.login'],
  occurredAt: [],
  retryHours: 0,
  guide: {
    title: 'GitHub',
    url: 'https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries',
    secret: "It's a Secret to Everybody",
    notes: `Types are the event with its action: \`push\`, \`issues.opened\`; the \`ping\` of a new webhook is an event like any other. Both content types work: of
a form, the JSON in \`payload\` becomes the event. GitHub does not try again by itself; a manual redelivery carries the same id.`,
  },
});
