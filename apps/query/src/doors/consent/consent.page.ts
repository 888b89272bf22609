import { hash } from 'node:crypto';
import type { GivenConsent } from '#libs/connections';
import { Markup, html } from '../home/markup.js';

export interface ConsentView {
  readonly given?: GivenConsent;
  /** Why nothing was connected. */
  readonly refusal?: string;
  readonly asked?: { readonly tenant: string; readonly connection: string };
}

const style = `
body { font: 16px/1.5 system-ui, sans-serif; max-width: 40rem; margin: 4rem auto; padding: 0 1rem; color: black; background: white; }
code { font-family: ui-monospace, monospace; overflow-wrap: anywhere; } .refusal { color: firebrick; }
@media (prefers-color-scheme: dark) { body { color: gainsboro; background: black; } .refusal { color: salmon; } }
`;

/** Nothing is loaded, run, framed or sent anywhere. */
export const consentPolicy = `default-src 'none'; style-src 'sha256-${hash('sha256', style, 'base64')}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;

/** The page for a person who comes back from the consent page of a system. */
export function consentPage({ given, refusal, asked }: ConsentView): string {
  const title = given === undefined ? 'Not connected' : 'Connected';
  const body = given === undefined ? refused(refusal ?? '', asked) : connected(given);
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width" />
        <title>${title} · Millrace</title>
        <style>
          ${new Markup(style)}
        </style>
      </head>
      <body>
        <h1>${title}</h1>
        ${body}
        <p>You can close this page.</p>
      </body>
    </html>`.text;
}

function connected({ tenant, connection, principal, account }: GivenConsent): Markup {
  const fields = Object.entries(account).map(([name, value]) => html`<li>${name}: <code>${value}</code></li>`);
  return html`<p>
      The connection <code>${connection}</code> of the tenant <code>${tenant}</code> may now act for this account.
      <code>${principal}</code> asked for it.
    </p>
    <ul>
      ${fields}
    </ul>
    <p>If you did not mean this, revoke the access in the settings of your account, and tell whoever sent you here.</p>`;
}

function refused(why: string, asked: ConsentView['asked']): Markup {
  const again =
    asked === undefined
      ? html`<p>Ask whoever sent you here for a new address.</p>`
      : html`<p>
          Nothing of the connection <code>${asked.connection}</code> of the tenant <code>${asked.tenant}</code> has changed. A new address
          to try again comes from <code>millrace connections authorize ${asked.connection}</code>.
        </p>`;
  return html`<p class="refusal">${why}.</p>
    ${again}`;
}
