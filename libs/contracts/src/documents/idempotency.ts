import { z } from 'zod';
import type { OperationIdempotency } from './connectors/operation.js';

const [minute, day] = [60_000, 86_400_000];

/** The shortest time for which a destination may keep effect keys: less would end before a few retries and their deadlines. */
const shortestKeyWindowMs = 10 * minute;
const longestKeyWindowMs = 365 * day;

/**
 * The idempotency classes of a system that is written to: what makes a delivery take effect once, although an attempt may have to be repeated whose
 * answer nobody has.
 */
export const idempotency = z.discriminatedUnion('class', [
  z
    .strictObject({
      class: z.literal('key').describe('The destination recognises a repeat by its effect key, and takes it once.'),
      windowMs: z
        .int()
        .min(shortestKeyWindowMs)
        .max(longestKeyWindowMs)
        .optional()
        .describe('For how long the destination keeps a key, in ms: 10 minutes to 365 days; default: for ever.'),
    })
    .describe('`key`: the destination recognises a repeat by `webhook-id` or `Idempotency-Key`.'),
  z
    .strictObject({ class: z.literal('upsert').describe('The payload sets an object; taking it twice leaves the same object.') })
    .describe('`upsert`: the payload sets an object by its own key, so a repeat changes nothing unless a newer payload came between.'),
  z
    .strictObject({ class: z.literal('absolute').describe('Taking the payload again changes nothing, whatever came between.') })
    .describe('`absolute`: taking the payload again changes nothing, whatever came between (a tag is added, an object is deleted).'),
  z
    .strictObject({ class: z.literal('none').describe('Each request takes effect.') })
    .describe(
      '`none`: each request takes effect. A delivery is repeated after an unknown outcome only if its flow says `atLeastOnce: true`.',
    ),
]);
export type Idempotency = z.infer<typeof idempotency>;

/** The idempotency class of a delivery, as a destination declares it, or as the operation of its connector does. */
export type DeliveryIdempotency = Idempotency | Extract<OperationIdempotency, { class: 'verify' }>;
export type IdempotencyClass = DeliveryIdempotency['class'];
