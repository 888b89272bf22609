import { randomBytes } from 'node:crypto';
import { Webhook } from 'standardwebhooks';
import { partnerSecrets } from './partner.js';

const destinationSecret = `whsec_${randomBytes(24).toString('base64')}`;

const source = (tenant: string, name: string, spec: object) => ({
  apiVersion: 'millrace/v1',
  kind: 'Source',
  metadata: { tenant, name },
  spec,
});

/** The documents of an integrator: sources of partners, a flow with every kind of step, and a destination. */
export function tenantDocuments(tenant: string, destinationUrl: string): object[] {
  return [
    { apiVersion: 'millrace/v1', kind: 'Tenant', metadata: { name: tenant }, spec: { displayName: 'A journey' } },
    source(tenant, 'stripe', { scheme: 'stripe', secrets: [{ value: partnerSecrets.stripe }] }),
    source(tenant, 'github', { scheme: 'github', secrets: [{ value: partnerSecrets.github }] }),
    source(tenant, 'shopify', { scheme: 'shopify', secrets: [{ value: partnerSecrets.shopify }] }),
    source(tenant, 'slack', { scheme: 'slack', secrets: [{ value: partnerSecrets.slack }] }),
    source(tenant, 'helpdesk', {
      scheme: 'standard-webhooks',
      secrets: [{ value: partnerSecrets.helpdesk }],
      customer: 'body.data.customer',
    }),
    source(tenant, 'tickets', { scheme: 'api-key' }),
    {
      apiVersion: 'millrace/v1',
      kind: 'Flow',
      metadata: { tenant, name: 'triage' },
      spec: {
        steps: [
          {
            id: 'assess',
            infer: {
              model: 'local/rules-1',
              instructions: 'Say what the event is about and how urgent it is.',
              input: '{ "type": event.type, "data": event.data }',
              maxInputLength: 4_194_304,
              output: {
                type: 'object',
                additionalProperties: false,
                required: ['topic', 'urgency', 'summary'],
                properties: {
                  topic: { type: 'string', enum: ['billing', 'delivery', 'product', 'engineering', 'other'] },
                  urgency: { type: 'number', minimum: 0, maximum: 1 },
                  summary: { type: 'string', maxLength: 300 },
                },
              },
            },
          },
          { id: 'check', validate: { input: 'steps.assess', rules: [{ check: 'value.urgency <= 1', message: 'urgency is a share' }] } },
          { id: 'action', map: { expression: '{ "topic": steps.assess.topic, "urgent": steps.assess.urgency > 0.6 }' } },
          { id: 'tell', deliver: { destination: 'crm' } },
        ],
        decision: 'steps.action',
      },
    },
    {
      apiVersion: 'millrace/v1',
      kind: 'Destination',
      metadata: { tenant, name: 'crm' },
      spec: {
        kind: 'http',
        url: destinationUrl,
        secret: { value: destinationSecret },
        retry: { delaysMs: [100, 200, 400, ...Array.from({ length: 17 }, () => 500)] },
      },
    },
  ];
}

/** Verifies the signature of a delivery with the SDK of the scheme. @throws Error if it is wrong */
export function verifyDelivery(request: { body: Buffer; headers: Record<string, unknown> }): void {
  new Webhook(destinationSecret).verify(request.body, request.headers as Record<string, string>);
}
