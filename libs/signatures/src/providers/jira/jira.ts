import { definePreset } from '../../preset.js';

export const jira = definePreset({
  // The header names its method. Only SHA-256 is accepted, which is what Jira sends.
  scheme: { header: 'x-hub-signature', prefix: 'sha256=' },
  sends: ['json'],
  // Not signed, but the same on every repeat; the body has no id.
  eventId: ['headers."x-atlassian-webhook-identifier"'],
  type: ['body.webhookEvent'],
  customer: ['body.issue.fields.project.key', 'body.project.key', 'body.user.accountId'],
  occurredAt: ['body.timestamp'],
  retryHours: 1.25,
  guide: {
    title: 'Jira',
    url: 'https://developer.atlassian.com/cloud/jira/platform/webhooks/#secure-admin-webhooks',
    secret: "It's a Secret to Everybody",
    notes: `For webhooks of an administrator with a secret. Webhooks of Connect apps are signed with a JWT instead and are not accepted. Jira tries again up to
five times, with 5 to 15 minutes between.`,
  },
});
