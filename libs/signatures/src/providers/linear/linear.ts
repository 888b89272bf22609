import { definePreset } from '../../preset.js';

export const linear = definePreset({
  scheme: { header: 'linear-signature', timestampField: 'webhookTimestamp', timestampUnit: 'ms', toleranceSeconds: 60 },
  sends: ['json'],
  // Not signed, but the same on every repeat.
  eventId: ['headers."linear-delivery"'],
  type: ['body.type', 'headers."linear-event"'],
  typeDetail: 'body.action',
  customer: ['body.data.teamId', 'body.data.team.id', 'body.data.issue.teamId', 'body.organizationId'],
  occurredAt: ['body.createdAt'],
  retryHours: 7,
  guide: {
    title: 'Linear',
    url: 'https://linear.app/developers/webhooks',
    secret: 'lin_wh_A3fX8sQ2mZ7kP0vB',
    notes: `Types are the entity with the action: \`Issue.create\`. The customer is the team, else the organization. Linear tries again after a minute, an hour
and six hours.`,
  },
});
