import { durationMs, reviewPriorities } from '#libs/contracts';
import type { Expression } from '#libs/expressions';
import { asDoubles } from '#libs/json';
import type { Json } from '#libs/json';
import { wallTime, wallTimeMs } from '#libs/time';
import { ReviewUnusable } from '../flow.errors.js';
import type { ReviewRequest, Step, StepInput } from '../step.js';

/** The times of the review as they were computed when the step began. */
type Asked = { expiresAt: string; escalateAt: string | null };

/** The most characters of a value that a person decides on, as JSON. */
const longestValue = 262_144;
const longestContext = 65_536;
const longestReason = 1_000;

/** Asks a person, and goes on with the decision: the run ends its work here, until it is there. */
export const reviewStep: Step<'review'> = {
  compile: (spec, id, { expression, schema: compileSchema, outputSchemaOf }) => {
    const optional = (text: string | undefined): Expression | undefined => (text === undefined ? undefined : expression(text));
    const schema = spec.schemaOf === undefined ? spec.schema : outputSchemaOf(spec.schemaOf);
    const fits = schema === undefined ? undefined : compileSchema(schema);
    const proposal = expression(spec.proposal);
    const needed = optional(spec.needed);
    const otherwise = optional(spec.default);
    const reason = optional(spec.reason);
    const shown = optional(spec.context);
    const priority = typeof spec.priority === 'string' ? expression(spec.priority) : spec.priority;
    const asked = async (scope: StepInput): Promise<Asked | undefined> => {
      if (needed !== undefined && (await needed.evaluate(scope)) !== true) return undefined;
      const nowMs = wallTimeMs();
      const after = (duration: number | string): string => new Date(nowMs + durationMs(duration)!).toISOString();
      const { expiresAfter, escalateAfter } = spec;
      return { expiresAt: after(expiresAfter), escalateAt: escalateAfter === undefined ? null : after(escalateAfter) };
    };
    const defaultOf = async (scope: StepInput): Promise<Json> => {
      const value = bounded(id, 'default', await valueOf(otherwise, scope));
      const problems = otherwise === undefined ? [] : ((await fits?.problemsOf(value)) ?? []);
      if (problems.length > 0) throw new ReviewUnusable(id, `has a default that does not fit its schema: ${problems.join('; ')}`);
      return value;
    };
    const question = async (scope: StepInput, { expiresAt, escalateAt }: Asked): Promise<ReviewRequest> => ({
      expiresAt: new Date(expiresAt),
      escalateAt: escalateAt === null ? null : new Date(escalateAt),
      priority: await priorityOf(id, priority, scope),
      proposal: bounded(id, 'proposal', await valueOf(proposal, scope)),
      default: await defaultOf(scope),
      schema: schema ?? null,
      reason: wordsOf(await valueOf(reason, scope)),
      context: cut(await valueOf(shown, scope)),
    });
    return async (scope, { begin, review }) => {
      const times = await begin('asked', () => asked(scope));
      if (times === undefined) {
        const value = await valueOf(proposal, scope);
        return { output: { outcome: 'notNeeded', value, by: null, reason: null, at: wallTime().toISOString() } };
      }
      return { output: { ...(await review(() => question(scope, times))) } };
    };
  },
};

async function valueOf(expression: Expression | undefined, scope: StepInput): Promise<Json> {
  return (await expression?.evaluate(scope)) ?? null;
}

/** @throws ReviewUnusable */
function bounded(step: string, what: string, value: Json): Json {
  const { length } = JSON.stringify(value);
  if (length <= longestValue) return value;
  throw new ReviewUnusable(step, `has a ${what} of ${length} characters as JSON; ${longestValue} are the most`);
}

/** @throws ReviewUnusable */
async function priorityOf(step: string, given: Expression | number | undefined, scope: StepInput): Promise<number> {
  if (given === undefined) return reviewPriorities.default;
  const { least, most } = reviewPriorities;
  const value = typeof given === 'number' ? given : (asDoubles(await valueOf(given, scope)) as Json);
  if (typeof value !== 'number' || Number.isNaN(value))
    throw new ReviewUnusable(
      step,
      `has no priority: it yields ${JSON.stringify(value).slice(0, 100)}; it has to be a number from ${least} to ${most}`,
    );
  return Math.round(Math.min(most, Math.max(least, value)));
}

function wordsOf(value: Json): string | null {
  if (value === null) return null;
  return (typeof value === 'string' ? value : JSON.stringify(value)).slice(0, longestReason);
}

/** A value that is too long is shown as the beginning of its text. */
function cut(value: Json): Json {
  const text = JSON.stringify(value);
  return text.length <= longestContext ? value : `${text.slice(0, longestContext)}…`;
}
