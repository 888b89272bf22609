import { definePreset } from '../../preset.js';

/** https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries */
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
});
