import { definePreset } from '../../preset.js';

export const gitlabSigned = definePreset({
  scheme: {
    header: 'webhook-signature',
    encoding: 'base64',
    key: 'whsec',
    list: { separator: ' ', keyValue: ',', signature: 'v1' },
    timestampHeader: 'webhook-timestamp',
    idHeader: 'webhook-id',
    template: '{id}.{timestamp}.{body}',
  },
  sends: ['json'],
  eventId: ['headers."webhook-id"'],
  type: ['headers."x-gitlab-event"', 'body.object_kind'],
  typeDetail: 'body.object_attributes.action',
  customer: ['body.project.path_with_namespace', 'body.group.full_path', 'body.group_id', 'body.project_id', 'body.user_username'],
  occurredAt: ['body.object_attributes.updated_at', 'body.created_at'],
  retryHours: undefined,
  guide: {
    title: 'GitLab with a signing token',
    url: 'https://docs.gitlab.com/user/project/integrations/webhooks/',
    secret: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
    notes: `From GitLab 19 on, a webhook can have a signing token, which signs as Standard Webhooks do. A secret token (\`X-Gitlab-Token\`) that is sent besides
it is not looked at. Types and customers are those of \`gitlab\`.`,
  },
});
