import { definePreset } from '../../preset.js';

export const gitlab = definePreset({
  scheme: { kind: 'token', header: 'x-gitlab-token' },
  sends: ['json'],
  // `X-Gitlab-Event-UUID` is no id: webhooks that a webhook caused have the same one.
  eventId: ['headers."idempotency-key"', 'headers."webhook-id"'],
  type: ['headers."x-gitlab-event"', 'body.object_kind'],
  typeDetail: 'body.object_attributes.action',
  customer: ['body.project.path_with_namespace', 'body.group.full_path', 'body.group_id', 'body.project_id', 'body.user_username'],
  occurredAt: ['body.object_attributes.updated_at', 'body.created_at'],
  retryHours: undefined,
  guide: {
    title: 'GitLab with a secret token',
    url: 'https://docs.gitlab.com/user/project/integrations/webhooks/',
    secret: 'glwt-8a1b0c9d-2f6e4d3c7b5a',
    notes: `The token does not protect the body; where GitLab has a signing token, use \`gitlab-signed\`. Types are the header with the action:
\`Issue Hook.open\`. The customer is the project. A GitLab that sends neither \`Idempotency-Key\` nor \`webhook-id\`
names no id of an event: the body is its identity.`,
  },
});
