import { z } from 'zod';
import { lanes } from '../names.js';
import { secret } from './secret.js';

/** An expression in JSONata, evaluated under limits of time and depth. */
export const expression = z.string().min(1).max(4096).describe('A JSONata expression.');

/** Presets: each is a `custom` scheme plus where the provider puts id, type and customer (`docs/providers.md`). */
export const presets = ['stripe', 'github', 'shopify', 'slack', 'standard-webhooks'] as const;

/** A signature scheme in words, for providers without a preset. Header names are case-insensitive. */
export const customScheme = z
  .strictObject({
    header: z.string().min(1).describe('The header that carries the signature.'),
    algorithm: z.enum(['hmac-sha256', 'hmac-sha512', 'hmac-sha1']).default('hmac-sha256'),
    encoding: z.enum(['hex', 'base64']).default('hex').describe('How the signature is written in the header.'),
    key: z
      .enum(['utf8', 'hex', 'base64', 'whsec'])
      .default('utf8')
      .describe('How the secret becomes the key; `whsec`: base64 after the prefix `whsec_`.'),
    template: z
      .string()
      .refine((template) => template.split('{body}').length === 2, {
        error: 'must contain {body} exactly once: a signature that does not cover the body verifies nothing',
      })
      .default('{body}')
      .describe('What is signed: text with {body}, {timestamp}, {id}. Only the raw bytes received stand for {body}.'),
    prefix: z.string().default('').describe('Text before the signature, such as `sha256=`.'),
    list: z
      .strictObject({
        separator: z.string().min(1).describe('Between entries: `,` or a space.'),
        keyValue: z.string().min(1).describe('Between an entry’s name and value: `=` or `,`.'),
        signature: z.string().min(1).describe('The name of the signature entries; any one that matches is enough (rotation).'),
        timestamp: z.string().min(1).optional().describe('The name of the timestamp entry, where it is in this header.'),
      })
      .optional()
      .describe('Set where the header is a list, as Stripe’s `t=…,v1=…`.'),
    timestampHeader: z.string().min(1).optional().describe('The header with the signed timestamp.'),
    timestampUnit: z.enum(['s', 'ms']).default('s'),
    toleranceSeconds: z.int().min(1).max(86_400).default(300).describe('How far the timestamp may be from now, either way.'),
    idHeader: z.string().min(1).optional().describe('The header with the signed message id, for {id}.'),
  })
  .superRefine((scheme, context) => {
    const hasTimestamp = scheme.timestampHeader !== undefined || scheme.list?.timestamp !== undefined;
    if (scheme.template.includes('{timestamp}') !== hasTimestamp) {
      context.addIssue({
        code: 'custom',
        path: ['template'],
        message: hasTimestamp
          ? 'must contain {timestamp}: a timestamp that is not signed proves nothing'
          : 'uses {timestamp}, so name its header in timestampHeader or list.timestamp',
      });
    }
    if (scheme.template.includes('{id}') !== (scheme.idHeader !== undefined)) {
      context.addIssue({ code: 'custom', path: ['template'], message: 'must contain {id} exactly when idHeader is set' });
    }
  });
export type CustomScheme = z.infer<typeof customScheme>;

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

const secrets = z.array(secret).min(1).max(4).describe('Active secrets; any of them verifies, so two overlap during a rotation.');

/** Exactly how requests to this source are verified. */
export const sourceSpec = z.discriminatedUnion('scheme', [
  z.strictObject({ scheme: z.enum(presets), secrets, ...extraction }),
  z.strictObject({ scheme: z.literal('custom'), custom: customScheme, secrets, ...extraction }),
  z
    .strictObject({ scheme: z.literal('api-key'), ...extraction })
    .describe('CloudEvents at `POST /v1/events` with an API key; the CloudEvents attribute `source` names this document.'),
]);
export type SourceSpec = z.infer<typeof sourceSpec>;
