import { isForRequestsAlone, typeMatcher, viewOf } from '#libs/contracts';
import type { EventReceived, FlowDocument } from '#libs/contracts';
import type { CompiledFlow } from './flow.compiler.js';

const matchers = new WeakMap<FlowDocument['spec']['on'], (type: string) => boolean>();

/**
 * The field of `spec.on` that excludes the event by its source or type; undefined if neither does. The condition `when` is not evaluated. The event of a
 * request is for the flow that it names, and a flow that takes requests and names no other events is for nothing else.
 */
export function excludedBy(
  { metadata, spec: { on, onRequest } }: FlowDocument,
  event: Pick<EventReceived, 'source' | 'type' | 'request'>,
): 'sources' | 'types' | undefined {
  if (event.request !== undefined) return event.request.flow === metadata.name ? undefined : 'sources';
  if (isForRequestsAlone({ on, onRequest })) return 'sources';
  const { sources, types = ['*'] } = on;
  if (sources !== undefined && !sources.includes(event.source)) return 'sources';
  const matches = matchers.get(on) ?? typeMatcher(types);
  matchers.set(on, matches);
  return matches(event.type) ? undefined : 'types';
}

/**
 * True if the flow has no condition, or it is met. One that cannot be read or evaluated counts as met: the run then fails with the reason and is parked, so
 * an operator finds it while the event's other flows go on.
 */
export async function meetsCondition({ spec }: FlowDocument, event: EventReceived, compiled: () => CompiledFlow): Promise<boolean> {
  if (spec.on.when === undefined) return true;
  try {
    return (await compiled().condition!.evaluate({ event: viewOf(event) })) === true;
  } catch {
    return true;
  }
}
