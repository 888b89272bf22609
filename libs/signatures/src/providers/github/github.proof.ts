import { createHmac } from 'node:crypto';
import type { PresetProof } from '../../proof.js';

const secret = "It's a Secret to Everybody";

export const githubProof: PresetProof = {
  secrets: [{ secret }, { secret: 'another of the webhook' }],
  sign: ({ body, key }) => ({ headers: { 'x-hub-signature-256': `sha256=${createHmac('sha256', key).update(body).digest('hex')}` }, body }),
  vectors: [
    {
      title: 'GitHub’s documentation',
      secret,
      atMs: 0,
      request: {
        headers: { 'X-Hub-Signature-256': 'sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17' },
        body: 'Hello, World!',
      },
    },
  ],
  samples: [
    {
      title: 'an issue that was opened',
      headers: {
        'content-type': 'application/json',
        'x-github-event': 'issues',
        'x-github-delivery': '72d3162e-cc78-11e3-81ab-4c9367dc0958',
      },
      body: { action: 'opened', issue: { number: 1347 }, repository: { owner: { login: 'octocat' } }, sender: { login: 'hubot' } },
      events: [{ eventId: '72d3162e-cc78-11e3-81ab-4c9367dc0958', type: 'issues.opened', customer: 'octocat', occurredAt: null }],
    },
    {
      title: 'a push as a form',
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        'x-github-event': 'push',
        'x-github-delivery': '1c2c0a50-0c3b-11ee-8a1f-0f0f0f0f0f0f',
      },
      body: new URLSearchParams({ payload: '{"ref":"refs/heads/main","organization":{"login":"acme"}}' }).toString(),
      events: [
        {
          eventId: '1c2c0a50-0c3b-11ee-8a1f-0f0f0f0f0f0f',
          type: 'push',
          customer: 'acme',
          occurredAt: null,
          body: { ref: 'refs/heads/main', organization: { login: 'acme' } },
        },
      ],
    },
  ],
};
