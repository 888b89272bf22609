import { definePreset } from '../../preset.js';

export const mux = definePreset({
  scheme: {
    header: 'mux-signature',
    list: { separator: ',', keyValue: '=', signature: 'v1', timestamp: 't' },
    template: '{timestamp}.{body}',
  },
  sends: ['json'],
  eventId: ['body.id'],
  type: ['body.type'],
  customer: ['body.data.passthrough', 'body.object.id', 'body.environment.id'],
  occurredAt: ['body.created_at'],
  retryHours: 24,
  guide: {
    title: 'Mux',
    url: 'https://www.mux.com/docs/core/verify-webhook-signatures',
    secret: 'SuperSecret123',
    notes: `The customer is what your application put into \`passthrough\`, else the asset or stream.`,
  },
});
