import { createPrivateKey, sign } from 'node:crypto';
import { jsonHeaders } from '../../proof.js';
import type { PresetProof } from '../../proof.js';

/** The PKCS #8 key of a seed (RFC 8410). */
const keyOf = (seed: string) =>
  createPrivateKey({ key: Buffer.from(`302e020100300506032b657004220420${seed}`, 'hex'), format: 'der', type: 'pkcs8' });

export const discordProof: PresetProof = {
  /** The first two keys of RFC 8032 §7.1: public key and seed. */
  secrets: [
    {
      secret: 'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
      key: '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60',
    },
    {
      secret: '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c',
      key: '4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb',
    },
  ],
  sign({ body, atMs, key }) {
    const timestamp = String(Math.floor(atMs / 1_000));
    const signature = sign(null, Buffer.from(timestamp + body), keyOf(key)).toString('hex');
    return { headers: { 'x-signature-timestamp': timestamp, 'x-signature-ed25519': signature }, body };
  },
  samples: [
    {
      title: 'a command in a guild',
      headers: jsonHeaders,
      body: { type: 2, id: '846462639134605312', token: 'A_UNIQUE_TOKEN', guild_id: '290926798626357999', data: { name: 'cardsearch' } },
      events: [{ eventId: '846462639134605312', type: 'command.cardsearch', customer: '290926798626357999', occurredAt: null }],
      answer: { status: 200, body: { type: 5 } },
    },
    {
      title: 'a button in a direct message',
      headers: jsonHeaders,
      body: { type: 3, id: '846462639134605313', user: { id: '53908232506183680' }, data: { custom_id: 'click_one' } },
      events: [{ eventId: '846462639134605313', type: 'component', customer: '53908232506183680', occurredAt: null }],
      answer: { status: 200, body: { type: 6 } },
    },
    {
      title: 'a PING',
      headers: jsonHeaders,
      body: { type: 1, id: '846462639134605311' },
      handshake: { status: 200, body: { type: 1 } },
    },
  ],
};
