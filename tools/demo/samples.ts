import { createHmac, randomUUID } from 'node:crypto';
import { sign as signGithub } from '@octokit/webhooks-methods';
import { Webhook } from 'standardwebhooks';
import { Stripe } from 'stripe';
import { wallTime, wallTimeMs } from '#libs/time';

export interface SampleWebhook {
  source: string;
  /** In a few words, for the table. */
  what: string;
  headers: Record<string, string>;
  body: string;
}

const json = { 'content-type': 'application/json' };
const fresh = (prefix: string): string => `${prefix}_${randomUUID().replaceAll('-', '').slice(0, 16)}`;
const nowSeconds = (): number => Math.floor(wallTimeMs() / 1_000);

/** A batch as it might come in one second at an online retailer, each signed as its provider signs: by its own SDK where there is one. */
export async function sampleWebhooks(secrets: Record<string, string>): Promise<SampleWebhook[]> {
  const secretOf = (source: string): string => {
    const secret = secrets[source];
    if (secret === undefined) throw new Error(`credentials.json has no secret for ${source}`);
    return secret;
  };

  const stripe = (what: string, type: string, object: object): SampleWebhook => {
    const body = JSON.stringify({
      id: fresh('evt'),
      object: 'event',
      api_version: '2025-09-30',
      created: nowSeconds(),
      type,
      data: { object },
    });
    const signature = new Stripe('sk_test_demo').webhooks.generateTestHeaderString({ payload: body, secret: secretOf('stripe') });
    return { source: 'stripe', what, headers: { ...json, 'stripe-signature': signature }, body };
  };

  const github = async (what: string, event: string, payload: object): Promise<SampleWebhook> => {
    const body = JSON.stringify({ ...payload, repository: { full_name: 'acme/shop', owner: { login: 'acme' } } });
    const signature = await signGithub(secretOf('github'), body);
    return {
      source: 'github',
      what,
      headers: { ...json, 'x-github-event': event, 'x-github-delivery': randomUUID(), 'x-hub-signature-256': signature },
      body,
    };
  };

  const shopify = (what: string, topic: string, payload: object): SampleWebhook => {
    const body = JSON.stringify(payload);
    const signature = createHmac('sha256', secretOf('shopify')).update(body).digest('base64');
    const headers = {
      ...json,
      'x-shopify-topic': topic,
      'x-shopify-shop-domain': 'acme.myshopify.com',
      'x-shopify-webhook-id': randomUUID(),
      'x-shopify-hmac-sha256': signature,
    };
    return { source: 'shopify', what, headers, body };
  };

  const slack = (what: string, text: string): SampleWebhook => {
    const event = { type: 'message', channel: 'C0SUPPORT', user: 'U0JANE', text };
    const body = JSON.stringify({ type: 'event_callback', team_id: 'T0ACME', event_id: fresh('Ev'), event_time: nowSeconds(), event });
    const timestamp = String(nowSeconds());
    const signature = `v0=${createHmac('sha256', secretOf('slack')).update(`v0:${timestamp}:${body}`).digest('hex')}`;
    return { source: 'slack', what, headers: { ...json, 'x-slack-request-timestamp': timestamp, 'x-slack-signature': signature }, body };
  };

  const helpdesk = (what: string, customer: string, message: string): SampleWebhook => {
    const id = fresh('msg');
    const now = wallTime();
    const body = JSON.stringify({ type: 'ticket.created', timestamp: now.toISOString(), data: { customer, message } });
    const signature = new Webhook(secretOf('helpdesk')).sign(id, now, body);
    const headers = {
      ...json,
      'webhook-id': id,
      'webhook-timestamp': String(Math.floor(now.getTime() / 1_000)),
      'webhook-signature': signature,
    };
    return { source: 'helpdesk', what, headers, body };
  };

  return [
    stripe('invoice payment failed', 'invoice.payment_failed', {
      id: fresh('in'),
      object: 'invoice',
      customer: 'cus_Ada',
      amount_due: 4900,
      currency: 'eur',
      description: 'Payment failed: the card was declined',
    }),
    stripe('charge disputed', 'charge.dispute.created', {
      id: fresh('dp'),
      object: 'dispute',
      customer: 'cus_Bob',
      amount: 12900,
      currency: 'usd',
      reason: 'fraudulent',
    }),
    stripe('invoice paid', 'invoice.paid', { id: fresh('in'), object: 'invoice', customer: 'cus_Ada', amount_paid: 4900, currency: 'eur' }),
    await github('issue opened', 'issues', {
      action: 'opened',
      issue: {
        number: 41,
        title: 'Checkout crashes on Safari',
        body: 'The page throws an exception and the cart is lost. Customers are angry.',
      },
    }),
    await github('push', 'push', { ref: 'refs/heads/main', commits: [{ message: 'Fix rounding of VAT' }] }),
    shopify('order cancelled', 'orders/cancelled', {
      id: 820982911946154500,
      email: 'eve@example.com',
      customer: { id: 115310627314723950 },
      cancel_reason: 'customer',
      note: 'Parcel never arrived, wants a refund of 398.00 EUR',
    }),
    shopify('order created', 'orders/create', {
      id: 820982911946154500,
      customer: { id: 207119551 },
      note: 'Please gift wrap, thank you!',
    }),
    slack('message', 'The payment page is down again, this is urgent!'),
    slack('message', 'Thanks for the quick help yesterday, everything works great now.'),
    helpdesk('ticket', 'cust-17', 'I was charged twice for order #1042 and nobody answers. I want my money back!'),
    helpdesk('ticket', 'cust-17', 'Sorry, I found it: the second charge was refunded on 2026-11-20. Thank you!'),
    helpdesk('ticket', 'cust-23', 'Where is my parcel? The tracking has shown nothing for a week.'),
  ];
}
