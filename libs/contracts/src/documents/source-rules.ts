import { z } from 'zod';
import { rateLimit } from './rate-limit.js';
import { jsonSchema } from './references.js';

/** A larger schema takes a door longer to compile than a partner should wait for it. */
const longestSchemaCharacters = 16_384;

export const ipAddressOrRange = z.union([z.ipv4(), z.ipv6(), z.cidrv4(), z.cidrv6()], {
  error: 'must be an IP address or a range such as 192.0.2.0/24',
});

/** The rules that requests have to keep beside their proof: fields of a source of every scheme. */
export const sourceRules = {
  addresses: z
    .array(ipAddressOrRange)
    .min(1)
    .max(200)
    .optional()
    .describe(
      'The IP addresses and ranges (CIDR) from which requests are taken; default: all. Behind a proxy, `TRUSTED_PROXIES` of ingestion says whose `X-Forwarded-For` is believed.',
    ),
  rateLimit: rateLimit
    .optional()
    .describe(
      'The rate of requests that the source takes; default: no limit. Beyond it requests get 429 with `Retry-After`. Only those count that proved who sent them.',
    ),
  maxBodyBytes: z
    .int()
    .min(1)
    .max(26_214_400)
    .optional()
    .describe('The largest body of a request, bytes; default: `BODY_LIMIT_BYTES` of ingestion, beyond which it has no effect.'),
  schemas: z
    .array(
      z.strictObject({
        types: z.array(z.string().min(1).max(256)).min(1).max(100).describe('Patterns of event types; `*` matches any text.'),
        schema: jsonSchema
          .refine((schema) => JSON.stringify(schema).length <= longestSchemaCharacters, {
            error: `must be at most ${longestSchemaCharacters} characters long as JSON`,
          })
          .describe('The JSON Schema (draft 2020-12) that the data of such an event must fit.'),
        onMismatch: z
          .enum(['reject', 'flag'])
          .default('reject')
          .describe(
            '`reject`: the request is refused with 422, which names the place. `flag`: the event is taken, and says in `schemaProblem` what does not fit.',
          ),
      }),
    )
    .max(20)
    .optional()
    .describe('The schemas of events by their type. The first entry with a matching pattern counts; events that none matches are taken.'),
};
