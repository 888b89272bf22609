import { definePreset } from '../../preset.js';

export const bitbucket = definePreset({
  // The header names its method. Only SHA-256 is accepted, which is what Bitbucket sends.
  scheme: { header: 'x-hub-signature', prefix: 'sha256=' },
  sends: ['json'],
  // Not signed, but the same when a request is sent again; the body has no id.
  eventId: ['headers."x-request-uuid"', 'headers."x-request-id"'],
  type: ['headers."x-event-key"', 'body.eventKey'],
  customer: ['body.repository.workspace.slug', 'body.repository.owner.uuid', 'body.repository.project.key', 'body.actor.uuid'],
  occurredAt: ['body.date'],
  retryHours: undefined,
  guide: {
    title: 'Bitbucket',
    url: 'https://support.atlassian.com/bitbucket-cloud/docs/manage-webhooks/',
    secret: "It's a Secret to Everybody",
    notes: `For Bitbucket Cloud and Data Center; both sign once the webhook has a secret. The customer is the workspace, or the project at Data Center. Cloud
tries again twice when it gets a 5xx or no response.`,
  },
});
