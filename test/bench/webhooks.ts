import { createHmac } from 'node:crypto';
import { benchKeys } from './documents.js';

/** A webhook of the bench's partner, signed as GitHub signs. */
export interface Webhook {
  /** Name of the source it is sent to. */
  source: string;
  /** The partner's id of the event. */
  delivery: string;
  customer: string;
  text: string;
}

/** Sends one. Resolves with the event id when it is acknowledged. */
export async function sendWebhook(doors: string, { source, delivery, customer, text }: Webhook): Promise<string> {
  const body = JSON.stringify({
    action: 'opened',
    repository: { owner: { login: customer } },
    issue: { title: 'Checkout crashes', body: text },
  });
  const headers = {
    'content-type': 'application/json',
    'x-github-event': 'issues',
    'x-github-delivery': delivery,
    'x-hub-signature-256': `sha256=${createHmac('sha256', benchKeys.github).update(body).digest('hex')}`,
  };
  const answer = await fetch(`${doors}/webhooks/bench.${source}`, { method: 'POST', headers, body });
  if (!answer.ok) throw new Error(`the door answered ${answer.status}`);
  const { eventIds } = (await answer.json()) as { eventIds: [string] };
  return eventIds[0];
}

/** Calls `act` at a steady rate without waiting for its result (open loop). Resolves when all calls have ended. */
export async function atRate(perSecond: number, seconds: number, act: (index: number) => Promise<void>): Promise<void> {
  const under = new Set<Promise<void>>();
  const started = performance.now();
  for (let index = 0; index < perSecond * seconds; index += 1) {
    const aheadMs = started + (index * 1_000) / perSecond - performance.now();
    if (aheadMs > 0) await new Promise((next) => setTimeout(next, aheadMs));
    under.add(act(index));
  }
  await Promise.all(under);
}
