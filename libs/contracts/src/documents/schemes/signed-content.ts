import { z } from 'zod';

const term = /^\{(?:body|form|crc32|timestamp|id|method|url|decodedUrl|header\.[\w-]+|query\.[\w.-]+|parameter\.\w+)\}$/;
const terms = '{body}, {form}, {crc32}, {timestamp}, {id}, {method}, {url}, {decodedUrl}, {header.NAME}, {query.NAME} and {parameter.NAME}';

/** Words in braces that are no term. They would be signed as they are written, so no request would be accepted. */
function unknownTerms(template: string): string[] {
  return (template.match(/\{[\w.-]*\}/g) ?? []).filter((word) => !term.test(word));
}

/** The fields that the kinds with a signature share: where the signature, timestamp and id stand, and which text is signed. */
export const signedContent = z.strictObject({
  header: z.string().min(1).describe('The header that carries the signature.'),
  encoding: z.enum(['hex', 'base64']).default('hex').describe('How the signature is written in the header.'),
  template: z
    .string()
    .refine((template) => template.match(/\{(?:body|form|crc32)\}/g)?.length === 1, {
      error: 'must contain {body} exactly once: a signature that does not cover the body verifies nothing',
    })
    .refine((template) => unknownTerms(template).length === 0, {
      error: ({ input }) => `contains ${unknownTerms(String(input)).join(' and ')}, which stands for nothing; the terms are ${terms}`,
    })
    .default('{body}')
    .describe(
      "The signed text. {body} stands for the raw bytes received; instead of it the text can contain {form} (form fields sorted by name, names and values without separators) or {crc32} (CRC-32 of the bytes, decimal). Further terms: {timestamp}, {id}, {method}, {url} (the `publicUrl` of the source with the query of the request), {decodedUrl} (the same with the escapes of `:/?@!$'()*,;` decoded, as HubSpot signs it), {header.NAME}, {query.NAME}, {parameter.NAME} (a value of the source’s `parameters`).",
    ),
  prefix: z.string().default('').describe('Text before the signature, such as `sha256=`.'),
  list: z
    .strictObject({
      separator: z.string().min(1).describe('The separator between entries: `,` or a space.'),
      keyValue: z.string().min(1).describe('The separator between an entry’s name and value: `=` or `,`.'),
      signature: z
        .string()
        .min(1)
        .describe('The name of the signature entries. One that matches is enough, so a provider can send two during a rotation.'),
      timestamp: z.string().min(1).optional().describe('The name of the timestamp entry, if the timestamp is in this header.'),
    })
    .optional()
    .describe('Set if the header is a list, such as Stripe’s `t=…,v1=…`.'),
  timestampHeader: z.string().min(1).optional().describe('The header with the signed timestamp.'),
  timestampField: z
    .string()
    .regex(/^\w+(?:\.\w+)*$/, 'must be names with dots between')
    .optional()
    .describe('The field of the JSON body with the timestamp, such as `webhookTimestamp`. It is signed as a part of the body.'),
  timestampUnit: z
    .enum(['s', 'ms', 'rfc3339'])
    .default('s')
    .describe('Seconds or milliseconds since 1970, digits only; or `rfc3339`, such as 2026-01-31T12:00:00Z.'),
  toleranceSeconds: z
    .int()
    .min(1)
    .max(86_400)
    .default(300)
    .describe('The largest allowed difference between the timestamp and the current time, earlier or later.'),
  idHeader: z.string().min(1).optional().describe('The header with the signed message id, for {id}.'),
  bodyDigestQuery: z
    .string()
    .min(1)
    .optional()
    .describe(
      'Needs {form} and {url}. The query parameter with the SHA-256 of the body in hex, such as Twilio’s `bodySHA256`. A request with this parameter signs no form fields. A request whose body is not a form must have it.',
    ),
});

/** Rejects combinations of fields whose signature would leave a part of the request unprotected. */
export function checkSignedContent(scheme: z.infer<typeof signedContent>, context: z.RefinementCtx): void {
  const refuse = (path: string, message: string): void => context.addIssue({ code: 'custom', path: [path], message });
  const hasTimestamp = scheme.timestampHeader !== undefined || scheme.list?.timestamp !== undefined;
  if (scheme.template.includes('{timestamp}') !== hasTimestamp) {
    refuse(
      'template',
      hasTimestamp
        ? 'must contain {timestamp}: a timestamp that is not signed proves nothing'
        : 'uses {timestamp}, so name its header in timestampHeader or list.timestamp',
    );
  }
  if (scheme.timestampField !== undefined && (hasTimestamp || !scheme.template.includes('{body}'))) {
    refuse('timestampField', 'needs {body} in the template, and no other timestamp');
  }
  if (scheme.template.includes('{id}') !== (scheme.idHeader !== undefined)) {
    refuse('template', 'must contain {id} exactly when idHeader is set');
  }
  if (scheme.bodyDigestQuery !== undefined && !(scheme.template.includes('{form}') && scheme.template.includes('{url}'))) {
    refuse('bodyDigestQuery', 'needs {form} and {url} in the template: a digest that is not signed proves nothing');
  }
}
