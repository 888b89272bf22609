import { z } from 'zod';
import { lanes } from '../names.js';
import { documentOf } from './document-of.js';
import { presets } from './presets.generated.js';
import { expression } from './references.js';
import { secret } from './secret.js';
import { signatureScheme } from './signature-scheme.js';

const extraction = {
  customer: expression
    .optional()
    .describe('Whose event it is, as JSONata over `{ body, headers }`; default: the preset’s. Nothing found: the shared customer `-`.'),
  type: expression.optional().describe('The event’s type, likewise; default: the preset’s, else `body.type`.'),
  eventId: expression.optional().describe('The provider’s own id of the event, likewise; default: the preset’s, else a hash of the body.'),
  lane: z
    .strictObject({
      default: z.enum(lanes).default('normal'),
      rules: z
        .array(
          z.strictObject({
            types: z.array(z.string().min(1)).min(1).describe('Type patterns; `*` stands for anything.'),
            lane: z.enum(lanes),
          }),
        )
        .default([])
        .describe('The first rule with a matching pattern wins.'),
    })
    .default({ default: 'normal', rules: [] }),
};

const publicUrl = z
  .url({ protocol: /^https?$/, error: 'must be an http or https address' })
  .optional()
  .describe('The address of this source as the provider calls it, without a query: for schemes that sign the URL.');

const secrets = z.array(secret).min(1).max(4).describe('Active secrets; any of them verifies, so two overlap during a rotation.');

/** Exactly how requests to this source are verified. */
export const sourceSpec = z.discriminatedUnion('scheme', [
  z.strictObject({ scheme: z.enum(presets), secrets, publicUrl, ...extraction }),
  z.strictObject({ scheme: z.literal('custom'), custom: signatureScheme, secrets, publicUrl, ...extraction }),
  z
    .strictObject({ scheme: z.literal('api-key'), ...extraction })
    .describe('CloudEvents at `POST /v1/events` with an API key; the CloudEvents attribute `source` names this document.'),
]);
export type SourceSpec = z.infer<typeof sourceSpec>;

export const sourceDocument = documentOf(
  'Source',
  sourceSpec,
  "A partner's channel in: how its requests are verified, whose customer they are about, and how urgent they are.",
);
export type SourceDocument = z.infer<typeof sourceDocument>;
