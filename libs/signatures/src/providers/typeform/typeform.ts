import { definePreset } from '../../preset.js';

export const typeform = definePreset({
  scheme: { header: 'typeform-signature', prefix: 'sha256=', encoding: 'base64' },
  sends: ['json'],
  eventId: ['body.event_id'],
  type: ['body.event_type'],
  customer: ['body.form_response.hidden.customer', 'body.form_response.hidden.user_id', 'body.form_response.form_id'],
  occurredAt: ['body.form_response.submitted_at'],
  retryHours: 10,
  guide: {
    title: 'Typeform',
    url: 'https://www.typeform.com/developers/webhooks/secure-your-webhooks/',
    secret: 'a secret of the form',
    notes: `The customer is the hidden field \`customer\` or \`user_id\`, else the form. A response 404 or 410 makes Typeform switch the webhook off.`,
  },
});
