import { hash } from 'node:crypto';
import type { ReadinessStatus } from '#libs/service';
import type { Markup } from './markup.js';
import { html } from './markup.js';

/** An event or a dead letter, as the page lists it. */
export interface Happening {
  readonly at: Date;
  readonly id: string;
  readonly what: string;
  readonly customer: string;
  readonly state: string;
}

/** The part of the page for callers with a key of the tenant. */
export interface TenantView {
  readonly tenant: string;
  readonly events: readonly Happening[];
  readonly openDeadLetters: readonly Happening[];
}

export interface HomeView {
  readonly readiness: ReadinessStatus;
  /** The routes of the doors for events that this process has, such as `/webhooks/:address`. */
  readonly intake: readonly string[];
  /** The addresses of operations at this port, such as `/healthz`. */
  readonly operations: readonly string[];
  /** Absent without a key. */
  readonly tenant?: TenantView;
  /** Why the key that was sent shows nothing. */
  readonly refusal?: string;
}

const style = `
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: black; background: white; }
table { border-collapse: collapse; width: 100%; } th, td { text-align: left; padding: .25rem .75rem .25rem 0; border-bottom: 1px solid silver; vertical-align: top; }
code { font-family: ui-monospace, monospace; overflow-wrap: anywhere; } input { font: inherit; padding: .25rem; } label { margin-right: 1rem; }
.refusal { color: firebrick; }
@media (prefers-color-scheme: dark) { body { color: gainsboro; background: black; } th, td { border-color: dimgray; } a { color: lightskyblue; } .refusal { color: salmon; } }
`;

/** Allows the page's own style sheet and form, and nothing else: no script, no frame, no other address. */
export const homePolicy = [
  `default-src 'none'`,
  `style-src 'sha256-${hash('sha256', style, 'base64')}'`,
  `form-action 'self'`,
  `base-uri 'none'`,
  `frame-ancestors 'none'`,
].join('; ');

export function homePage(view: HomeView): string {
  const { readiness, intake, operations, tenant, refusal } = view;
  // The policy names the digest of the style, so nothing may be inserted into it.
  const sheet = html(['<style>', '</style>'] as unknown as TemplateStringsArray, trusted(style));
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width" />
        <title>Millrace</title>
        ${sheet}
      </head>
      <body>
        <h1>Millrace</h1>
        <p>
          Millrace takes webhooks and events in durably, runs flows with AI steps on them in the order of each customer, delivers the
          decisions to other systems, and shows every step.
        </p>
        <p>This process is ${stateOf[readiness]}.</p>
        <h2>Doors</h2>
        <table>
          ${intake.map(
            (route) =>
              html`<tr>
                <td>${purposeOf(route)}</td>
                <td><code>POST ${route}</code></td>
              </tr>`,
          )}
          <tr>
            <td>GraphQL, with subscriptions over WebSockets and server-sent events</td>
            <td>
              <a href="/graphql"><code>/graphql</code></a>
            </td>
          </tr>
          ${operations.map(
            (path) =>
              html`<tr>
                <td>${purposeOfOperation[path] ?? ''}</td>
                <td>
                  <a href="${path}"><code>${path}</code></a>
                </td>
              </tr>`,
          )}
        </table>
        ${intake.length > 0 ? '' : html`<p>Webhooks and the events API are at the service <code>ingestion</code>.</p>`}
        <h2>What happened last</h2>
        ${refusal === undefined ? '' : html`<p class="refusal" role="alert">${refusal}</p>`} ${tenant === undefined ? '' : happened(tenant)}
        <form method="post" action="/">
          <label>API key <input type="password" name="key" required autocomplete="off" /></label>
          <label>Tenant, for the operator’s key <input name="tenant" autocomplete="off" /></label>
          <button>Show</button>
        </form>
        <p>The key needs READ. It is sent with the form and kept nowhere.</p>
      </body>
    </html>`.text;
}

function trusted(text: string): Markup {
  return html([text] as unknown as TemplateStringsArray);
}

function purposeOf(route: string): string {
  return route.startsWith('/webhooks') ? 'Webhooks; the address is tenant.source' : 'Events, in the form of CloudEvents';
}

const stateOf = {
  ok: 'ready',
  degraded: html`ready, but <strong>something that it needs is away</strong>: <code>/readyz</code> has the reason`,
  unavailable: html`<strong>not ready</strong>`,
} satisfies Record<ReadinessStatus, unknown>;

const purposeOfOperation: Readonly<Record<string, string>> = {
  '/healthz': 'Whether the process is alive',
  '/readyz': 'Whether it can do its work',
  '/metrics': 'Metrics for Prometheus',
};

function happened({ tenant, events, openDeadLetters }: TenantView): Markup {
  return html`<h3>Events of ${tenant}</h3>
    ${list(events, 'No event yet.')}
    <h3>Open dead letters of ${tenant}</h3>
    ${list(openDeadLetters, 'None.')}`;
}

function list(happenings: readonly Happening[], none: string): Markup {
  if (happenings.length === 0) return html`<p>${none}</p>`;
  const rows = happenings.map(
    ({ at, what, customer, state, id }) =>
      html`<tr>
        <td>${at.toISOString()}</td>
        <td>${what}</td>
        <td>${customer}</td>
        <td>${state}</td>
        <td><code>${id}</code></td>
      </tr>`,
  );
  return html`<table>
    <tr>
      <th>at</th>
      <th>what</th>
      <th>customer</th>
      <th>state</th>
      <th>id</th>
    </tr>
    ${rows}
  </table>`;
}
