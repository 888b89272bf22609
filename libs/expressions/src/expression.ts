import { EvaluationsBusy } from '#libs/contracts';
import { EvaluationProcesses } from '#libs/evaluation';
import type { Json } from '#libs/json';
import { counter } from '#libs/tracing';
import { compileEvaluation, positionOf, reasonOf } from './evaluation.js';
import type { Evaluation, EvaluationLimits, ExpressionFailure } from './evaluation.js';
import { ExpressionFailed, ExpressionInvalid } from './expression.errors.js';
import { uncertain } from './direct-evaluation.js';

export interface ExpressionOptions {
  /** Longest evaluation, in ms: of processor time where a process of its own evaluates. Default 1000. */
  timeoutMs?: number;
  /** Deepest nesting of calls and sub-expressions. Default 200. */
  depth?: number;
  /** Most items in one sequence, such as `[1..n]`. Default 100 000. */
  items?: number;
  /** The tenant that the expression belongs to. Of one owner, one evaluation runs outside of this process at a time. Default: all that name none are one owner. */
  owner?: string;
}

/** A compiled expression; it keeps no state between evaluations, so one serves any number at once. */
export interface Expression {
  readonly text: string;
  /**
   * Evaluates the expression on `input`, which must be plain JSON. The value is undefined if the expression yields nothing. A plain path returns
   * the object of the input itself, without a promise: treat it as read-only.
   * @throws ExpressionFailed, EvaluationsBusy by rejection only
   */
  evaluate(input: unknown): Promise<Json | undefined> | Json | undefined;
}

const standardLimits: EvaluationLimits = { timeoutMs: 1_000, depth: 200, items: 100_000, values: Number.MAX_SAFE_INTEGER };

/** How long an evaluation may occupy the thread that serves everybody, and how large its result may be there. */
const sharedThread = { timeoutMs: 20, values: 100_000 };

const stopped = counter('millrace_expressions_stopped_total', 'Evaluations of expressions that reached a limit, by limit.', {
  limit: ['time', 'memory', 'depth', 'items', 'size', 'waiting'],
});

/**
 * Compiles a JSONata expression. Do it once per document version: it takes about 50 µs. What is made of paths such as `body.data."x-id"`, literals,
 * objects, conditions and comparisons is then computed directly (`direct-evaluation.ts`). Another expression that looks at each part of its input once is evaluated here; one that
 * could take longer, and every evaluation that does, in a process that can be killed (docs/decisions/2026-11-29-expression-processes.md).
 * @throws ExpressionInvalid
 */
export function compileExpression(text: string, { owner = '', ...options }: ExpressionOptions = {}): Expression {
  const limits = { ...standardLimits, ...options };
  const here = compiled(text, {
    ...limits,
    timeoutMs: Math.min(limits.timeoutMs, sharedThread.timeoutMs),
    values: sharedThread.values,
  });
  const evaluate = async (input: unknown): Promise<Json | undefined> => {
    try {
      const found = here.isBounded ? await evaluateHere(text, here, input) : elsewhere;
      return found === elsewhere ? await evaluateElsewhere(text, { owner, limits }, input) : found;
    } catch (error) {
      if (error instanceof ExpressionFailed && error.limit !== undefined) stopped.inc({ limit: error.limit });
      throw error;
    }
  };
  const { direct } = here;
  if (direct === null) return { text, evaluate };
  return {
    text,
    evaluate: (input) => {
      const found = direct(input);
      return found === uncertain ? evaluate(input) : found;
    },
  };
}

const elsewhere = Symbol('it takes longer than the shared thread has, or has a larger result');

/** @throws ExpressionInvalid */
function compiled(text: string, limits: EvaluationLimits): Evaluation {
  try {
    return compileEvaluation(text, limits);
  } catch (failure) {
    throw new ExpressionInvalid(text, reasonOf(failure), positionOf(failure), failure);
  }
}

/** @throws ExpressionFailed */
async function evaluateHere(text: string, here: Evaluation, input: unknown): Promise<Json | undefined | typeof elsewhere> {
  const result = await here.evaluate(input);
  if ('value' in result) return result.value;
  const { failure } = result;
  if (failure.limit === 'time' || failure.limit === 'size') return elsewhere;
  throw new ExpressionFailed(text, failure);
}

/** @throws ExpressionFailed */
async function evaluateElsewhere(
  text: string,
  { owner, limits }: { owner: string; limits: EvaluationLimits },
  input: unknown,
): Promise<Json | undefined> {
  const result = await processesFor(limits.timeoutMs).evaluate(owner, { text, limits }, input);
  if ('failure' in result) throw new ExpressionFailed(text, result.failure as ExpressionFailure);
  return result.value;
}

/** A tenant whose expressions took more processor time than its share has its other events wait where they hold no memory: at the partner, or in the log. */
const maxWaitingAtRest = 20;

function refused(waiting: number): EvaluationsBusy {
  stopped.inc({ limit: 'waiting' });
  return new EvaluationsBusy(waiting);
}

/** By the time that an evaluation may take: one that takes a second must not delay one that may take 50 ms. */
const processes = new Map<number, EvaluationProcesses>();

function processesFor(timeoutMs: number): EvaluationProcesses {
  let known = processes.get(timeoutMs);
  if (known === undefined) {
    known = new EvaluationProcesses({ program: new URL('./expression.program.js', import.meta.url), refusal: refused, maxWaitingAtRest });
    processes.set(timeoutMs, known);
  }
  return known;
}
