import { createHmac, randomBytes } from 'node:crypto';
import { sign as signGithub } from '@octokit/webhooks-methods';
import { Webhook as StandardWebhook } from 'standardwebhooks';
import { Stripe } from 'stripe';
import { Webhook as SvixWebhook } from 'svix';

/** A webhook, signed by the SDK of its provider where there is one. */
export interface SignedRequest {
  source: string;
  body: string;
  headers: Record<string, string>;
}

/** The secrets the journeys' sources share with the partners. */
export const partnerSecrets = {
  stripe: `whsec_${randomBytes(24).toString('hex')}`,
  github: randomBytes(20).toString('hex'),
  shopify: randomBytes(32).toString('hex'),
  slack: randomBytes(16).toString('hex'),
  helpdesk: `whsec_${randomBytes(24).toString('base64')}`,
};

export function stripe(id: string, data: object): SignedRequest {
  const body = JSON.stringify({ id, object: 'event', type: 'invoice.payment_failed', created: 1_700_000_000, data: { object: data } });
  const header = new Stripe('sk_test_none').webhooks.generateTestHeaderString({ payload: body, secret: partnerSecrets.stripe });
  return { source: 'stripe', body, headers: { 'content-type': 'application/json', 'stripe-signature': header } };
}

export async function github(id: string, data: object): Promise<SignedRequest> {
  const body = JSON.stringify(data);
  const headers = {
    'content-type': 'application/json',
    'x-github-event': 'issues',
    'x-github-delivery': id,
    'x-hub-signature-256': await signGithub(partnerSecrets.github, body),
  };
  return { source: 'github', body, headers };
}

/** Shopify publishes no signer. The scheme is one HMAC over the body, in base64. */
export function shopify(id: string, data: object): SignedRequest {
  const body = JSON.stringify(data);
  const headers = {
    'content-type': 'application/json',
    'x-shopify-topic': 'orders/cancelled',
    'x-shopify-shop-domain': 'acme.myshopify.com',
    'x-shopify-webhook-id': id,
    'x-shopify-hmac-sha256': createHmac('sha256', partnerSecrets.shopify).update(body).digest('base64'),
  };
  return { source: 'shopify', body, headers };
}

/** Slack publishes no signer. The scheme is HMAC over `v0:timestamp:body`, in hex. */
export function slack(id: string, event: object): SignedRequest {
  const body = JSON.stringify({ type: 'event_callback', team_id: 'T1', event_id: id, event });
  const timestamp = String(Math.floor(Date.now() / 1_000));
  const mac = createHmac('sha256', partnerSecrets.slack).update(`v0:${timestamp}:${body}`).digest('hex');
  return {
    source: 'slack',
    body,
    headers: { 'content-type': 'application/json', 'x-slack-request-timestamp': timestamp, 'x-slack-signature': `v0=${mac}` },
  };
}

/** The same scheme with two SDKs: that of Standard Webhooks, and that of Svix, which has header names of its own. */
export function helpdesk(
  id: string,
  customer: string,
  message: string,
  sdk: 'standardwebhooks' | 'svix' = 'standardwebhooks',
): SignedRequest {
  const body = JSON.stringify({ type: 'ticket.created', timestamp: '2026-11-21T09:00:00Z', data: { customer, message } });
  const now = new Date();
  const signer = sdk === 'svix' ? new SvixWebhook(partnerSecrets.helpdesk) : new StandardWebhook(partnerSecrets.helpdesk);
  const prefix = sdk === 'svix' ? 'svix' : 'webhook';
  const headers = {
    'content-type': 'application/json',
    [`${prefix}-id`]: id,
    [`${prefix}-timestamp`]: String(Math.floor(now.getTime() / 1_000)),
    [`${prefix}-signature`]: signer.sign(id, now, body),
  };
  return { source: 'helpdesk', body, headers };
}

/** The request with one bit of its body flipped. */
export function flipped(request: SignedRequest): SignedRequest {
  const at = Math.floor(request.body.length / 2);
  return {
    ...request,
    body: request.body.slice(0, at) + String.fromCharCode(request.body.charCodeAt(at) ^ 1) + request.body.slice(at + 1),
  };
}
