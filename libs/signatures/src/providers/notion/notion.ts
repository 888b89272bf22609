import { definePreset } from '../../preset.js';

export const notion = definePreset({
  scheme: { header: 'x-notion-signature', prefix: 'sha256=' },
  sends: ['json'],
  eventId: ['body.id'],
  type: ['body.type'],
  customer: ['body.entity.id', 'body.workspace_id'],
  occurredAt: ['body.timestamp'],
  unsignedPost({ rawBody, secrets }) {
    const token = rawBody.length > 256 ? undefined : tokenIn(rawBody.toString('utf8'));
    if (token === undefined) return undefined;
    const isKnown = secrets.includes(token); // it is answered alike, so that nobody learns which tokens are secrets
    const forOperator = `Notion’s verification token is ${token}: enter it there, and as a secret of this source`;
    return { status: 200, body: '', ...(isKnown ? {} : { forOperator }) };
  },
  retryHours: 24,
  guide: {
    title: 'Notion',
    url: 'https://developers.notion.com/reference/webhooks',
    secret: 'secret_tMrlL1qK5vuQAh1b6cZGhFChZTSYJlce98V0pYn7yBl',
    notes: `The secret is the verification token that Notion sends, unsigned, when a subscription is made. Apply the source with any secret at first, make the
subscription, and read the token in the log of ingestion (“Notion’s verification token is …”). Enter it in Notion, and as the secret of the source. A token
that somebody else sent does no harm: Notion does not accept it. Who can read the log can sign from then on, so replace the subscription if the log is not
yours alone. The customer is the page, database or comment.`,
  },
});

function tokenIn(body: string): string | undefined {
  return /^\s*\{\s*"verification_token"\s*:\s*"(secret_\w{8,100})"\s*\}\s*$/.exec(body)?.[1];
}
