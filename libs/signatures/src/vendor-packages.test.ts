/**
 * The providers' own npm packages sign requests that our presets must accept and, altered, refuse. Where a package only verifies, it must accept what
 * the proof of the preset signs, and refuse it altered: then the proof signs as the provider does, and the suite of `preset.conformance.ts` counts.
 */
import { hmacValidator as HmacValidator } from '@adyen/api-library';
import type { Types } from '@adyen/api-library';
import { Signature } from '@hubspot/api-client';
import { validateSignature as isSignedByLine } from '@line/bot-sdk';
import { LinearWebhookClient } from '@linear/sdk/webhooks';
import { Mux } from '@mux/mux-node';
import { signWebhookPayload } from '@notionhq/client';
import { sign as octokitSign } from '@octokit/webhooks-methods';
import { Paddle } from '@paddle/paddle-node-sdk';
import { EventWebhook } from '@sendgrid/eventwebhook';
import { verifyKey } from 'discord-interactions';
import Razorpay from 'razorpay';
import { verifySlackRequest } from '@slack/bolt/dist/receivers/verify-request.js';
import { WebhooksHelper } from 'square';
import { Webhook } from 'standardwebhooks';
import { Stripe } from 'stripe';
import { Webhook as SvixWebhook } from 'svix';
import twilioPackage from 'twilio';
import { expect, test } from 'vitest';
import { DomainError } from '#libs/contracts';
import { createVerifier } from './create-verifier.js';
import type { ProviderPreset } from './preset.js';
import { bodyText } from './proof.js';
import type { PresetProof } from './proof.js';
import { proofs } from './proofs.generated.js';
import { providers } from './providers.generated.js';
import { acceptedTampering, asReceived } from './tampering.js';
import type { PlainRequest } from './tampering.js';

type Name = keyof typeof providers;

interface Signing {
  readonly body: string;
  /** The secret in the document. */
  readonly secret: string;
  /** The provider’s side of the secret. */
  readonly key: string;
  readonly publicUrl: string;
}

interface VerifiedRequest {
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** Packages that sign: npm package, preset, the request that it makes. The time is the current one. */
const signers: readonly (readonly [string, Name, (message: Signing) => PlainRequest | Promise<PlainRequest>])[] = [
  [
    'stripe',
    'stripe',
    ({ body, secret }) => ({
      headers: { 'stripe-signature': new Stripe('sk_test_unused').webhooks.generateTestHeaderString({ payload: body, secret }) },
      body,
    }),
  ],
  [
    '@octokit/webhooks-methods',
    'github',
    async ({ body, secret }) => ({ headers: { 'x-hub-signature-256': await octokitSign(secret, body) }, body }),
  ],
  [
    'standardwebhooks',
    'standard-webhooks',
    ({ body, secret }) => standardHeaders('webhook', body, (id, at) => new Webhook(secret).sign(id, at, body)),
  ],
  ['svix', 'svix', ({ body, secret }) => standardHeaders('svix', body, (id, at) => new SvixWebhook(secret).sign(id, at, body))],
  [
    '@notionhq/client',
    'notion',
    async ({ body, secret }) => ({
      headers: { 'x-notion-signature': await signWebhookPayload({ body, verificationToken: secret }) },
      body,
    }),
  ],
  [
    '@adyen/api-library',
    'adyen-platform',
    ({ body, secret }) => ({ headers: { hmacsignature: new HmacValidator().calculateHmac(body, secret) }, body }),
  ],
  [
    'twilio',
    'twilio',
    ({ body, secret, publicUrl }) => ({
      headers: {
        'x-twilio-signature': twilioPackage.getExpectedTwilioSignature(
          secret,
          `${publicUrl}?a=b%20c`,
          Object.fromEntries(new URLSearchParams(body)),
        ),
        'content-type': 'application/x-www-form-urlencoded',
      },
      target: '/webhooks/acme.voice?a=b%20c',
      body,
    }),
  ],
];

const hubspotVersions = [
  ['v1', 'hubspot-v1', 'x-hubspot-signature'],
  ['v2', 'hubspot-v2', 'x-hubspot-signature'],
  ['v3', 'hubspot', 'x-hubspot-signature-v3'],
] as const;
/** HubSpot's package signs in all three versions. */
const hubspotSigners = hubspotVersions.map(
  ([version, name, header]) =>
    [
      '@hubspot/api-client',
      name,
      ({ body, secret, publicUrl }: Signing) => {
        const timestamp = Date.now();
        const options = { signature: '', clientSecret: secret, requestBody: body, url: publicUrl, timestamp };
        const headers = { [header]: Signature.getSignature('POST', version, options) };
        return { headers: version === 'v3' ? { ...headers, 'x-hubspot-request-timestamp': String(timestamp) } : headers, body };
      },
    ] as const,
);

/** Packages that verify: npm package, preset, whether the package accepts the request. */
const verifiers: readonly (readonly [string, Name, (request: VerifiedRequest, message: Signing) => boolean | Promise<boolean>])[] = [
  [
    '@paddle/paddle-node-sdk',
    'paddle',
    ({ body, headers }, { secret }) => new Paddle('unused').webhooks.isSignatureValid(body, secret, headers['paddle-signature']!),
  ],
  [
    '@mux/mux-node',
    'mux',
    ({ body, headers }, { secret }) =>
      passes(() => new Mux({ tokenId: 'a', tokenSecret: 'b' }).webhooks.verifySignature(body, headers, secret)),
  ],
  [
    '@adyen/api-library',
    'adyen',
    ({ body }, { secret }) =>
      passes(() => {
        const { notificationItems } = JSON.parse(body) as {
          notificationItems: { NotificationRequestItem: Types.notification.NotificationRequestItem }[];
        };
        const areSigned = notificationItems.every(({ NotificationRequestItem: item }) => new HmacValidator().validateHMAC(item, secret));
        if (!areSigned) throw new Error('not signed');
      }),
  ],
  [
    '@linear/sdk',
    'linear',
    ({ body, headers }, { secret }) =>
      passes(() => new LinearWebhookClient(secret).verify(Buffer.from(body), headers['linear-signature']!)),
  ],
  ['@line/bot-sdk', 'line', ({ body, headers }, { secret }) => isSignedByLine(body, secret, headers['x-line-signature']!)],
  [
    '@sendgrid/eventwebhook',
    'sendgrid',
    ({ body, headers }, { secret }) => {
      const webhook = new EventWebhook();
      const key = webhook.convertPublicKeyToECDSA(secret);
      const signature = headers['x-twilio-email-event-webhook-signature']!;
      return webhook.verifySignature(key, body, signature, headers['x-twilio-email-event-webhook-timestamp']!);
    },
  ],
  ...(['discord', 'discord-events'] as const).map(
    (name) =>
      [
        'discord-interactions',
        name,
        ({ body, headers }: VerifiedRequest, { secret }: Signing) =>
          verifyKey(body, headers['x-signature-ed25519']!, headers['x-signature-timestamp']!, secret),
      ] as const,
  ),
  [
    'razorpay',
    'razorpay',
    ({ body, headers }, { secret }) => Razorpay.validateWebhookSignature(body, headers['x-razorpay-signature']!, secret),
  ],
  [
    '@slack/bolt',
    'slack',
    ({ body, headers }, { secret }) =>
      passes(() =>
        verifySlackRequest({
          signingSecret: secret,
          body,
          headers: {
            'x-slack-signature': headers['x-slack-signature']!,
            'x-slack-request-timestamp': Number(headers['x-slack-request-timestamp']),
          },
        }),
      ),
  ],
  [
    'square',
    'square',
    ({ body, headers }, { secret, publicUrl }) =>
      WebhooksHelper.verifySignature({
        requestBody: body,
        signatureHeader: headers['x-square-hmacsha256-signature']!,
        signatureKey: secret,
        notificationUrl: publicUrl,
      }),
  ],
];

test('packages of at least twelve vendors take part', () => {
  expect(new Set([...signers, ...hubspotSigners, ...verifiers].map(([name]) => name)).size).toBeGreaterThanOrEqual(12);
});

test.each([...signers, ...hubspotSigners])(
  'what %s signs is accepted by the preset %s, and refused with one bit flipped',
  async (_, name, sign) => {
    const message = messageOf(name);
    const request = await sign(message);
    const verifier = verifierOf(name);
    const nowMs = Date.now();
    expect(() => verifier.verify(asReceived(request), nowMs)).not.toThrow();
    const proof: PresetProof = proofs[name];
    const accepted = acceptedTampering(verifier, request, nowMs).filter((what) => !what.includes('content-type'));
    expect(accepted.filter((what) => proof.mayAlter?.(what, request) !== true)).toEqual([]);
  },
);

test.each(verifiers)('%s accepts what the proof of %s signs, and refuses it altered as we do', async (_, name, accepts) => {
  const proof: PresetProof = proofs[name];
  const message = messageOf(name);
  const nowMs = Date.now();
  const { headers, body } = proof.sign({ ...message, id: 'msg_1', atMs: nowMs });
  const text = String(body);
  const verifier = verifierOf(name);
  expect(await accepts({ body: text, headers }, message)).toBe(true);
  expect(() => verifier.verify(asReceived({ headers, body: text }), nowMs)).not.toThrow();
  const withOtherDigit = text.replace(/[0-9]/, (digit) => String((Number(digit) + 1) % 10));
  // White space beside signed fields is not signed.
  const others = providers[name].scheme.kind === 'fields' ? [] : [`${text} `, text.slice(0, -1)];
  for (const altered of [withOtherDigit, ...others]) {
    expect(await accepts({ body: altered, headers }, message)).toBe(false);
    expect(() => verifier.verify(asReceived({ headers, body: altered }), nowMs)).toThrow(DomainError);
  }
});

function messageOf(name: Name): Signing {
  const { samples, secrets, publicUrl = '' }: PresetProof = proofs[name];
  const { secret, key = secret } = secrets[0];
  return { body: bodyText(samples[0]!), secret, key, publicUrl };
}

function verifierOf(name: Name): ReturnType<typeof createVerifier> {
  const { scheme, aliases }: ProviderPreset = providers[name];
  const { secrets, publicUrl, parameters = {} }: PresetProof = proofs[name];
  return createVerifier(
    scheme,
    secrets.map(({ secret }) => secret),
    { aliases, publicUrl, parameters },
  );
}

function standardHeaders(prefix: string, body: string, sign: (id: string, at: Date) => string): PlainRequest {
  const at = new Date();
  const headers = {
    [`${prefix}-id`]: 'msg_1',
    [`${prefix}-timestamp`]: String(Math.floor(at.getTime() / 1_000)),
    [`${prefix}-signature`]: sign('msg_1', at),
  };
  return { headers, body };
}

/** True if it does not throw. */
async function passes(verify: () => unknown): Promise<boolean> {
  try {
    await verify();
    return true;
  } catch {
    return false;
  }
}
