import { durationMs, longestWaitMs } from '#libs/contracts';
import { asDoubles } from '#libs/json';
import type { Json } from '#libs/json';
import { wallTimeMs } from '#libs/time';
import { WaitUnusable } from '../flow.errors.js';
import type { Step, StepInput } from '../step.js';

/** The end of the wait as it was computed when the step began. */
type Due = { dueAt: string };

/** Computes once when the wait ends, and then waits: the run ends its work here, until it is woken. */
export const waitStep: Step<'wait'> = {
  compile: (spec, id, { expression }) => {
    const until = spec.until === undefined ? undefined : expression(spec.until);
    const due = async (scope: StepInput): Promise<Due> => {
      const nowMs = wallTimeMs();
      const dueMs = until === undefined ? nowMs + durationMs(spec.for!)! : timeOf(id, await until.evaluate(scope));
      if (dueMs > nowMs + longestWaitMs)
        throw new WaitUnusable(id, `ends at ${new Date(dueMs).toISOString()}, which is more than 90 days ahead`);
      return { dueAt: new Date(dueMs).toISOString() };
    };
    return async (scope, { begin, wait }) => {
      const { dueAt } = await begin('due', () => due(scope));
      return { output: { ...wait({ dueAt: new Date(dueAt) }) } };
    };
  },
};

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
