import { definePreset } from '../../preset.js';

export const zendesk = definePreset({
  scheme: {
    header: 'x-zendesk-webhook-signature',
    encoding: 'base64',
    timestampHeader: 'x-zendesk-webhook-signature-timestamp',
    timestampUnit: 'rfc3339',
    template: '{timestamp}{body}',
  },
  sends: ['json', 'form'],
  eventId: ['body.id', 'headers."x-zendesk-webhook-invocation-id"'],
  type: ['body.type'],
  customer: ['body.detail.requester_id', 'body.detail.id', 'body.subject', 'body.account_id', 'headers."x-zendesk-account-id"'],
  occurredAt: ['body.time'],
  retryHours: undefined,
  guide: {
    title: 'Zendesk',
    url: 'https://developer.zendesk.com/documentation/webhooks/verifying/',
    secret: 'dKTPAb0sHJMnR2LHgQTfTqqPmr5dCRM3',
    notes: `The secret is the webhook’s signing secret, as text. The secret with which Zendesk signs tests of a webhook before it is created is public, so such a
test gets 401. The body of a trigger or automation is your own: give it \`id\` and \`type\`, or name the fields in the document.`,
  },
});
