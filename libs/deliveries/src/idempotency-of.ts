import { namedOperation } from '#libs/connectors';
import type { DeliveryIdempotency, DestinationSpec, DocumentLookup } from '#libs/contracts';

/**
 * The idempotency class of a destination: its document declares it, or the operation that it names does. `none` if that operation does
 * not exist any more.
 */
export function idempotencyOf(spec: DestinationSpec, find: DocumentLookup): DeliveryIdempotency {
  if (spec.kind === 'http') return spec.idempotency;
  const { idempotency } = namedOperation(find, spec.connection, spec.operation) ?? {};
  if (idempotency === undefined) return { class: 'none' };
  return idempotency.class === 'declared' ? (spec.idempotency ?? { class: 'none' }) : idempotency;
}
