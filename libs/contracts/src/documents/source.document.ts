import { z } from 'zod';
import { addressOrSecret, textOrSecret } from './credential.js';
import { documentOf } from './document-of.js';
import { signsForAnybody, sourceHandshakes } from './handshake.js';
import type { SourceHandshake } from './handshake.js';
import { laneRules } from './lane-rules.js';
import { presets } from './presets.generated.js';
import { expression } from './references.js';
import { secret } from './secret.js';
import { signatureScheme } from './signature-scheme.js';
import type { SignatureScheme } from './signature-scheme.js';
import { sourceRules } from './source-rules.js';

const extraction = {
  customer: expression
    .optional()
    .describe(
      'Reads the customer: JSONata over `{ body, headers }`; default: the preset’s. An event without a customer belongs to the source itself, as the customer `-/SOURCE`.',
    ),
  type: expression
    .optional()
    .describe('Reads the event’s type: JSONata over `{ body, headers }`; default: the preset’s, else `body.type`.'),
  eventId: expression
    .optional()
    .describe(
      'Reads the provider’s own id of the event: JSONata over `{ body, headers }`; default: the preset’s. Without an id, a hash of the body identifies the event.',
    ),
  lane: laneRules,
  keepRequests: z
    .enum(['none', 'refused', 'all'])
    .optional()
    .describe(
      'Which requests are kept as they were received, without secrets: none, a sample of those that were refused (the default), or accepted ones, too, with their events. See `docs/requests.md`.',
    ),
  ...sourceRules,
};

const publicUrl = addressOrSecret
  .optional()
  .describe('The address at which the provider calls this source, without a query. Schemes that sign the URL need it.');

const parameters = z
  .record(z.string().regex(/^\w{1,40}$/, 'must be up to 40 letters and digits'), textOrSecret(z.string().min(1).max(512)))
  .refine((given) => Object.keys(given).length <= 10, 'must have at most 10 entries')
  .optional()
  .describe(
    'Values by name that the provider gave you and that its requests do not carry, such as PayPal’s `webhookId`: `docs/providers.md` says which a preset has. A template names them as {parameter.NAME}.',
  );

const secrets = z
  .array(secret)
  .min(1)
  .max(4)
  .describe('Active secrets. Each of them verifies, so an old and a new one can overlap during a rotation.');

interface WithHandshakes {
  custom: SignatureScheme;
  handshakes?: SourceHandshake[] | undefined;
  parameters?: object | undefined;
}

function checkHandshakes({ custom, handshakes = [], parameters: given = {} }: WithHandshakes, context: z.RefinementCtx): void {
  const refuse = (path: (string | number)[], message: string): void =>
    context.addIssue({ code: 'custom', path: ['handshakes', ...path], message });
  for (const [at, handshake] of handshakes.entries()) {
    for (const [which, { parameter }] of handshake.when.entries()) {
      if (parameter !== undefined && !Object.hasOwn(given, parameter))
        refuse(
          [at, 'when', which, 'parameter'],
          `is no name in parameters; add parameters.${parameter} with the value that the provider sends`,
        );
    }
    const answers = [handshake.text, ...Object.values(handshake.json ?? {})];
    const needsKey = answers.some((one) => one?.hmac !== undefined);
    const signsBody = 'template' in custom && (custom.kind ?? 'hmac') === 'hmac' && custom.template.includes('{body}');
    if (needsKey && isPublic(custom))
      refuse([at], 'has an hmac, which needs a shared secret: a scheme of the kind hmac, fields, token or basic');
    else if (signsForAnybody(handshake) && !signsBody)
      refuse(
        [at],
        'would sign for anybody; only a scheme of the kind hmac with {body} in its template can tell such a code from the signature of an event',
      );
  }
}

function isPublic({ kind }: SignatureScheme): boolean {
  return kind === 'none' || kind === 'asymmetric' || kind === 'certificate' || kind === 'client-certificate';
}

/** Exactly how requests to this source are verified. */
export const sourceSpec = z.discriminatedUnion('scheme', [
  z.strictObject({
    scheme: z.enum(presets).describe('The provider, whose preset says how requests are verified and read: `docs/providers.md`.'),
    secrets,
    publicUrl,
    parameters,
    ...extraction,
  }),
  z
    .strictObject({
      scheme: z.literal('custom').describe('A provider without a preset; `custom` says how its requests are verified.'),
      custom: signatureScheme.describe('How requests prove who sent them. Header names are case-insensitive.'),
      secrets: secrets
        .or(z.array(secret).max(0))
        .default([])
        .describe('As for a preset. The kind `none` has no secrets, and every other needs one.'),
      handshakes: sourceHandshakes,
      publicUrl,
      parameters,
      ...extraction,
    })
    .superRefine((spec, context) => {
      const message = spec.custom.kind === 'none' ? 'must be left out: the kind none has no secrets' : 'must have at least one secret';
      if ((spec.custom.kind === 'none') === spec.secrets.length > 0) context.addIssue({ code: 'custom', path: ['secrets'], message });
      checkHandshakes(spec, context);
    }),
  z
    .strictObject({
      scheme: z.literal('api-key').describe('Requests are authenticated by an API key with the scope INGEST.'),
      ...extraction,
    })
    .describe('Accepts CloudEvents at `POST /v1/events` with an API key. The CloudEvents attribute `source` names this document.'),
]);
export type SourceSpec = z.infer<typeof sourceSpec>;

export const sourceDocument = documentOf(
  'Source',
  sourceSpec.describe('How requests are verified, and where customer, type, id and lane of an event stand.'),
  'A partner’s channel in: how requests are verified, and how customer, type, id and lane of an event are found.',
);
export type SourceDocument = z.infer<typeof sourceDocument>;
