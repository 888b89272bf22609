import { definePreset } from '../../preset.js';

export const sentry = definePreset({
  scheme: { header: 'sentry-hook-signature' },
  // The requests of an integration's own components use the other name.
  aliases: { 'sentry-hook-signature': 'sentry-app-signature' },
  sends: ['json'],
  eventId: ['headers."request-id"'],
  type: ['headers."sentry-hook-resource"'],
  typeDetail: 'body.action',
  customer: [
    'body.data.issue.project.slug',
    'body.data.event.project',
    'body.data.error.project',
    'body.data.installation.organization.slug',
    'body.installation.uuid',
  ],
  // `sentry-hook-timestamp` is not signed, so it cannot limit a replay; as the time of the event it is good enough.
  occurredAt: ['headers."sentry-hook-timestamp"'],
  retryHours: undefined,
  guide: {
    title: 'Sentry',
    url: 'https://docs.sentry.io/organization/integrations/integration-platform/webhooks/',
    secret: '8f2a0c5d1e7b4a3f9c6d2e8b7a1f0c5d',
    notes: `The secret is the Client Secret of the integration. Types are the resource with its action: \`issue.created\`. Sentry switches a webhook off that fails
again and again.`,
  },
});
