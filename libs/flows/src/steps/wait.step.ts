import { durationMs, longestWaitMs, mostArrivalsOfWait } from '#libs/contracts';
import type { EventView } from '#libs/contracts';
import type { Expression } from '#libs/expressions';
import { asDoubles } from '#libs/json';
import type { Json } from '#libs/json';
import { wallTimeMs } from '#libs/time';
import { WaitUnusable } from '../flow.errors.js';
import type { Step, StepInput, StepOutput } from '../step.js';

/** The end of the wait as it was computed when the step began. */
type Due = { dueAt: string };

/** Computes once when the wait ends, and then waits: the run ends its work here, until it is woken. */
export const waitStep: Step<'wait'> = {
  compile: (spec, id, { expression }) => {
    const until = spec.until === undefined ? undefined : expression(spec.until);
    const due = async (scope: StepInput): Promise<Due> => {
      const nowMs = wallTimeMs();
      const dueMs = until === undefined ? nowMs + durationMs(spec.for ?? spec.event!.timeout)! : timeOf(id, await until.evaluate(scope));
      if (dueMs > nowMs + longestWaitMs)
        throw new WaitUnusable(id, `ends at ${new Date(dueMs).toISOString()}, which is more than 90 days ahead`);
      return { dueAt: new Date(dueMs).toISOString() };
    };
    const match = spec.event?.match === undefined ? undefined : expression(spec.event.match);
    return async (scope, context): Promise<StepOutput> => {
      const { dueAt } = await context.begin('due', () => due(scope));
      if (spec.event === undefined) return { output: { ...context.wait({ dueAt: new Date(dueAt) }) } };
      const request = { dueAt: new Date(dueAt), types: spec.event.types };
      const { arrived, looked } = await firstMatch(match, scope, (after) => context.arrivals(request, after));
      if (arrived !== undefined) return { output: { reason: 'event', at: arrived.receivedAt, event: { ...arrived } } };
      return { output: { reason: 'timedOut', at: context.wait({ ...request, looked }).at, event: null } };
    };
  },
};

/** The first event that is the one, of those that have arrived. */
async function firstMatch(
  match: Expression | undefined,
  scope: StepInput,
  arrivals: (after: EventView | undefined) => Promise<readonly EventView[]>,
): Promise<{ readonly arrived?: EventView; readonly looked: number }> {
  let last: EventView | undefined;
  let looked = 0;
  while (looked < mostArrivalsOfWait) {
    const events = await arrivals(last);
    for (const arrived of events)
      if (match === undefined || (await match.evaluate({ ...scope, arrived })) === true) return { arrived, looked };
    if (events.length === 0) break;
    last = events.at(-1);
    looked += events.length;
  }
  return { looked };
}

/** @throws WaitUnusable */
function timeOf(step: string, value: Json | undefined): number {
  const given = asDoubles(value) as Json | undefined;
  const ms = typeof given === 'number' ? given : typeof given === 'string' && /^\d{4}-\d\d-\d\d/.test(given) ? Date.parse(given) : NaN;
  if (Number.isFinite(ms) && Math.abs(ms) <= 8.64e15) return ms;
  throw new WaitUnusable(
    step,
    `ends at no time: until yields ${JSON.stringify(given ?? null).slice(0, 100)}; it has to be ISO 8601, or ms since 1970`,
  );
}
