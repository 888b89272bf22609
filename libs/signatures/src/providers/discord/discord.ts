import type { Json } from '#libs/json';
import { definePreset } from '../../preset.js';

/** The responses that tell Discord that an interaction was taken and will be answered over its API. */
const responses: Readonly<Record<number, object>> = {
  2: { type: 5 }, // a command: thinking
  3: { type: 6 }, // a component: no visible change
  4: { type: 8, data: { choices: [] } }, // autocompletion: no choices
  5: { type: 5 }, // a modal: thinking
};

export const discord = definePreset({
  scheme: {
    kind: 'asymmetric',
    algorithm: 'ed25519',
    key: 'hex',
    header: 'x-signature-ed25519',
    timestampHeader: 'x-signature-timestamp',
    template: '{timestamp}{body}',
  },
  sends: ['json'],
  eventId: ['body.id'],
  type: [
    'body.type = 2 ? "command." & body.data.name',
    'body.type = 3 ? "component"',
    'body.type = 4 ? "autocomplete"',
    'body.type = 5 ? "modal"',
  ],
  customer: ['body.guild_id', 'body.member.user.id', 'body.user.id'],
  occurredAt: [],
  handshakes: [{ method: 'POST', when: [{ body: 'type', equals: 1 }], json: { type: { value: 1 } } }],
  answer: (body) => ({ status: 200, body: responses[typeOf(body) ?? 0] ?? { type: 5 } }),
  retryHours: 0,
  guide: {
    title: 'Discord, interactions',
    url: 'https://discord.com/developers/docs/interactions/overview#setting-up-an-endpoint',
    secret: 'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
    notes: `The secret is the application’s public key. A PING is answered with a PONG. Commands, modals and components are accepted with a deferred response, so the
flow answers over Discord’s API with the interaction’s \`token\`, which is valid for 15 minutes; an autocompletion gets no choices.`,
  },
});

function typeOf(body: Json): number | undefined {
  return body !== null && typeof body === 'object' && 'type' in body && typeof body.type === 'number' ? body.type : undefined;
}
