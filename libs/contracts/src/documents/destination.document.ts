import { z } from 'zod';
import { documentOf } from './document-of.js';
import { expression } from './references.js';
import { destinationKinds } from './destinations.generated.js';
import type { DeliveryIdempotency } from './idempotency.js';

const [second, minute, hour, day] = [1_000, 60_000, 3_600_000, 86_400_000];
/** The longest wait before a retry that a destination may name. */
export const longestRetryDelayMs = 7 * day;
const retryDelaysMs = [5 * second, 5 * minute, 30 * minute, 2 * hour, 5 * hour, 10 * hour, 14 * hour];

/** The fields that a destination of every kind has. */
const common = z.strictObject({
  timeoutMs: z.int().min(100).max(60_000).default(10_000).describe('Deadline of one attempt in ms, including the time to connect.'),
  order: z
    .enum(['strict', 'best-effort'])
    .default('best-effort')
    .describe(
      'The order of one customer’s deliveries. `best-effort`: in order as long as attempts succeed; a delivery that waits for a retry lets later ones pass. `strict`: later deliveries wait for earlier ones, and behind a parked one until it is redelivered or skipped.',
    ),
  supersede: expression
    .optional()
    .describe(
      'The key of the object that a payload sets, as an expression over `payload`. A newer delivery of the same customer and object then takes the place of older ones that wait: they are `superseded`, and never sent. Default: no delivery is superseded.',
    ),
  retry: z
    .strictObject({
      delaysMs: z
        .array(z.int().min(10).max(longestRetryDelayMs))
        .max(50)
        .default(retryDelaysMs)
        .describe('One wait for each retry, in ms: at most 50, each 10 ms to 7 days.'),
    })
    .prefault({})
    .describe(
      'The wait before each retry in ms; random jitter lengthens each by up to 20 %. After the last retry the delivery is parked. Default: 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h. A `Retry-After` of the destination is honoured.',
    ),
  limit: z
    .strictObject({
      concurrency: z.int().min(1).max(1_000).default(16).describe('The most attempts at the same time, for all processes together.'),
      perSecond: z
        .int()
        .min(1)
        .max(10_000)
        .optional()
        .describe('The most attempts per second, for all processes together; default: unlimited.'),
    })
    .prefault({})
    .describe('Limits for attempts to this destination.'),
});

type KindRegistry = typeof destinationKinds;
/** The word by which a Destination document says which connector delivers to it. */
export type DestinationKind = keyof KindRegistry;
/** The spec of a destination of one kind. */
export type DestinationSpecOf<K extends DestinationKind> = z.infer<KindRegistry[K]> & z.infer<typeof common>;
export type DestinationSpec = { [K in DestinationKind]: DestinationSpecOf<K> }[DestinationKind];

const options = Object.values(destinationKinds).map((kind) => kind.extend(common.shape));

/** A destination's own fields by its kind, and the common ones. A kind is declared in `destinations/<kind>.destination.ts`. */
export const destinationSpec: z.ZodType<DestinationSpec> = z
  .discriminatedUnion('kind', options as [(typeof options)[number]])
  .superRefine((spec, context) => {
    const message = unorderedUpsert(spec, spec.idempotency);
    if (message !== undefined) context.addIssue({ code: 'custom', path: ['order'], message });
  });

/** The problem of a destination that may overwrite what a newer delivery has set; undefined if it has none. */
export function unorderedUpsert(
  { order, supersede }: Pick<DestinationSpec, 'order' | 'supersede'>,
  idempotency: DeliveryIdempotency | undefined,
): string | undefined {
  if (idempotency?.class !== 'upsert' || order === 'strict' || supersede !== undefined) return undefined;
  return 'must be strict, or `supersede` must name the object, because the idempotency class is upsert: the late retry of an older delivery would overwrite what a newer one has set';
}

export const destinationDocument = documentOf(
  'Destination',
  destinationSpec.describe('Where deliveries go, and how attempts are limited and repeated.'),
  'A system that decisions are delivered to.',
);
export type DestinationDocument = z.infer<typeof destinationDocument>;
