import { counted } from './counted.js';
import type { Connection } from './connection.js';
import { CliFailure } from './failure.js';
import { ask } from './graphql.client.js';
import type { Output } from './output.js';
import { accepted, refusals } from './refusal.js';
import type { Refusal } from './refusal.js';

interface Webhook {
  source: string;
  connection: string;
  url: string;
  events: string[];
  ids: string[];
  registeredAt: string;
  secretChangedAt: string | null;
}

/** The options of `millrace sources register`. */
export interface RegisterOptions {
  connection?: string;
  event?: string[];
  target?: string[];
  rotate: boolean;
}

const fields = 'source connection url events ids registeredAt secretChangedAt';
const registerOne = `mutation Register($input: RegisterWebhookInput!) {
  registered: registerWebhook(input: $input) { __typename ... on RegisterWebhookSuccess { change steps webhook { ${fields} } } ${refusals} }
}`;
const unregisterOne = `mutation Unregister($input: UnregisterWebhookInput!) {
  unregistered: unregisterWebhook(input: $input) { __typename ... on UnregisterWebhookSuccess { removed } ${refusals} }
}`;

/** `millrace sources`: the webhooks that were registered at partners. */
export async function webhooks(connection: Connection, output: Output): Promise<void> {
  for (const webhook of (await ask<{ webhooks: Webhook[] }>(connection, `{ webhooks { ${fields} } }`)).webhooks)
    output.result(webhook, lineOf(webhook));
}

const checkAll = `mutation Check($input: CheckWebhooksInput!) {
  checked: checkWebhooks(input: $input) { __typename ... on CheckWebhooksSuccess { checks { source connection url state message } } ${refusals} }
}`;

interface WebhookCheck {
  source: string;
  connection: string;
  url: string;
  state: 'PRESENT' | 'CHANGED' | 'MISSING' | 'UNKNOWN';
  message: string | null;
}

/** `millrace sources check`: prints what partners have of the webhooks. @throws CliFailure if one is not as it was registered, or the source that was named has none */
export async function checkWebhooks(connection: Connection, source: string | undefined, output: Output): Promise<void> {
  type Checked = { __typename: 'CheckWebhooksSuccess'; checks: WebhookCheck[] };
  const { checked } = await ask<{ checked: Checked | Refusal }>(connection, checkAll, { input: { source } });
  const { checks } = accepted(connection, checked);
  for (const check of checks)
    output.result(
      check,
      [check.source, `by ${check.connection}`, check.url, check.state.toLowerCase(), check.message ?? ''].join('  ').trimEnd(),
    );
  if (checks.length === 0 && source !== undefined)
    throw new CliFailure(
      `${source} has no webhook that was registered: register one by millrace sources register ${source} --connection <name>`,
      'refused',
    );
  if (checks.length === 0) return output.note('No webhook was registered.');
  const amiss = checks.filter(({ state }) => state !== 'PRESENT');
  if (amiss.length === 0) return;
  const repairable = amiss.filter(({ state }) => state !== 'UNKNOWN').map((one) => one.source);
  const remedy = repairable.length === 0 ? '' : `: repair ${repairable.join(', ')} by millrace sources register`;
  throw new CliFailure(`${amiss.length} of ${counted(checks.length, 'webhook')} not as registered, or unknown${remedy}`, 'refused');
}

/** `millrace sources register`: prints the webhook, or what a person has to do. */
export async function registerWebhook(connection: Connection, source: string, options: RegisterOptions, output: Output): Promise<void> {
  const { connection: by, event: events, target, rotate } = options;
  const input = { source, connection: by, events, target: target === undefined ? undefined : targetOf(target), rotateSecret: rotate };
  type Registered = { __typename: 'RegisterWebhookSuccess'; change: string; steps: string[]; webhook: Webhook | null };
  const { registered } = await ask<{ registered: Registered | Refusal }>(connection, registerOne, { input });
  const { change, steps, webhook } = accepted(connection, registered);
  const lines = webhook === null ? steps.map((step, at) => `${at + 1}. ${step}`) : [`${change.toLowerCase()}  ${lineOf(webhook)}`];
  output.result({ change, steps, webhook }, lines.join('\n'));
}

/** `millrace sources unregister`: prints how many webhooks the partner had. */
export async function unregisterWebhook(connection: Connection, source: string, output: Output): Promise<void> {
  type Unregistered = { __typename: 'UnregisterWebhookSuccess'; removed: number };
  const { unregistered } = await ask<{ unregistered: Unregistered | Refusal }>(connection, unregisterOne, { input: { source } });
  const { removed } = accepted(connection, unregistered);
  output.result({ source, removed }, removed === 0 ? `${source} had no webhook` : `${removed} removed`);
}

function lineOf({ source, connection, url, events, ids, registeredAt }: Webhook): string {
  return [source, `by ${connection}`, url, events.join(','), ids.join(','), registeredAt].join('  ');
}

/** @throws CliFailure for a part without a name and a value */
function targetOf(parts: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    parts.map((part) => {
      const at = part.indexOf('=');
      if (at < 1) throw new CliFailure(`--target takes name=value, not ${part}`, 'unusable');
      return [part.slice(0, at), part.slice(at + 1)];
    }),
  );
}
