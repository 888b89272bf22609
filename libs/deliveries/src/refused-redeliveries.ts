import type { DestinationDocument, Document, DocumentLookup } from '#libs/contracts';
import { statement } from '#libs/persistence';
import { idempotencyOf } from './idempotency-of.js';
import { secondEffectsOf } from './second-effect.js';

/** For the parameter `p_effects` of the SQL function `redelivery_refusal`: by destination, its repeats that may take effect a second time. */
export type EffectsByDestination = Readonly<Record<string, { readonly reachedBy: string; readonly unlessConsented: boolean }>>;

/** @param atMs when a repeat would begin, wall time in ms */
export function effectsByDestination(
  documents: readonly { readonly name: string; readonly document: Document }[],
  find: DocumentLookup,
  atMs: number,
): EffectsByDestination {
  const effects = documents.flatMap(({ name, document }) => {
    if (document.kind !== 'Destination') return [];
    const found = effectsOf(document, find, atMs);
    return found === undefined ? [] : [[name, found] as const];
  });
  return Object.fromEntries(effects);
}

function effectsOf({ spec }: DestinationDocument, find: DocumentLookup, atMs: number): EffectsByDestination[string] | undefined {
  const found = secondEffectsOf({ idempotency: idempotencyOf(spec, find), timeoutMs: spec.timeoutMs }, atMs);
  if (found === undefined) return undefined;
  const { reachedByMs, unlessConsented } = found;
  return { reachedBy: reachedByMs === Infinity ? 'infinity' : new Date(reachedByMs).toISOString(), unlessConsented };
}

/** Reads which of some deliveries, by id, `redeliver` refuses, each with the code of its refusal. */
export const refusedRedeliveries = statement('delivery.refusedRedeliveries', 'SELECT id, code FROM refused_redeliveries($1, $2, $3)');
