import { typeMatcher, viewOf } from '#libs/contracts';
import type { EventReceived, FlowDocument } from '#libs/contracts';
import type { CompiledFlow } from './flow.compiler.js';

const matchers = new WeakMap<FlowDocument, (type: string) => boolean>();

/** The field of `spec.on` that excludes the event by its source or type; undefined if neither does. The condition `when` is not evaluated. */
export function excludedBy(flow: FlowDocument, event: Pick<EventReceived, 'source' | 'type'>): 'sources' | 'types' | undefined {
  const { sources, types = ['*'] } = flow.spec.on;
  if (sources !== undefined && !sources.includes(event.source)) return 'sources';
  const matches = matchers.get(flow) ?? typeMatcher(types);
  matchers.set(flow, matches);
  return matches(event.type) ? undefined : 'types';
}

/**
 * True if the flow has no condition, or it is met. One that cannot be evaluated counts as met: the run then evaluates it again, fails with its reason and
 * is parked, so an operator finds it while the event's other flows go on.
 */
export async function meetsCondition({ condition }: CompiledFlow, event: EventReceived): Promise<boolean> {
  if (condition === undefined) return true;
  try {
    return (await condition.evaluate({ event: viewOf(event) })) === true;
  } catch {
    return true;
  }
}
