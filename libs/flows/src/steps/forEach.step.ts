import type { Json } from '#libs/json';
import type { Expression } from '#libs/expressions';
import { ItemsRefused, RunTooLarge, RunWaits, foremost } from '../flow.errors.js';
import type { Step, StepInput, StepsResult, TriedWork } from '../step.js';

/** An item under the key by which its results are stored. */
type KeyedItem = { key: string; item: Json };

const longestKey = 128;
/** The most characters of the outputs as JSON: those of the result of an expression, because expressions read them. */
const longestOutput = 4_194_304;

/** Runs its steps for each item. The items are stored first, each with its key, so a resumed run has the same. */
export const forEachStep: Step<'forEach'> = {
  hasSteps: true,
  compile: (spec, id, { expression, steps: compileSteps }) => {
    const list = expression(spec.items);
    const keyOf = spec.key === undefined ? undefined : expression(spec.key);
    const steps = compileSteps(spec.steps);
    return async (scope, { begin, runSteps, attempt }) => {
      const items = await begin('items', async () => {
        const found = listOf(await list.evaluate(scope));
        if (found.length > spec.max) throw new ItemsRefused(id, `there are ${found.length}, and \`max\` is ${spec.max}`);
        return keyed(id, found, keyOf === undefined ? undefined : await keysOf(keyOf, found, scope, spec.as));
      });
      const runItem = ({ key, item }: KeyedItem): Promise<TriedWork<StepsResult>> => {
        const under = pathPart(key);
        const run = (): Promise<StepsResult> => runSteps(steps, { under, names: { [spec.as]: item } });
        return spec.onItemFailure === 'collect' ? attempt(under, run) : run().then((result) => ({ result }));
      };
      const ended = await each(items, spec.concurrency, runItem);
      const output = ended.map((end, at) => (spec.onItemFailure === 'collect' ? told(items[at]!.key, end) : resultOf(end).output));
      const size = JSON.stringify(output).length;
      if (size > longestOutput)
        throw new RunTooLarge(`the outputs of the step ${id} have ${size} characters; ${longestOutput} are the most`);
      return { output, deliveries: ended.flatMap((end) => ('result' in end ? end.result.deliveries : [])) };
    };
  },
};

/** JSONata makes one value of a list of one, and nothing of an empty one. */
function listOf(value: Json | undefined): Json[] {
  if (Array.isArray(value)) return value;
  return value === undefined || value === null ? [] : [value];
}

async function keysOf(expression: Expression, items: readonly Json[], scope: StepInput, as: string): Promise<(Json | undefined)[]> {
  const keys: (Json | undefined)[] = [];
  for (const item of items) keys.push(await expression.evaluate({ ...scope, [as]: item }));
  return keys;
}

/** @throws ItemsRefused if a key is no key, or is that of another item, too */
function keyed(step: string, items: readonly Json[], keys: readonly (Json | undefined)[] | undefined): KeyedItem[] {
  const places = new Map<string, number>();
  return items.map((item, at) => {
    const key = keys === undefined ? String(at) : keyText(keys[at]);
    if (key === undefined)
      throw new ItemsRefused(step, `the key of item ${at} is neither a number nor text of 1 to ${longestKey} characters: change \`key\``);
    const other = places.get(key);
    if (other !== undefined) throw new ItemsRefused(step, `the items ${other} and ${at} have the same key: ${key}; change \`key\``);
    places.set(key, at);
    return { key, item };
  });
}

/** Undefined if the value cannot be a key. */
function keyText(value: Json | undefined): string | undefined {
  if (value === undefined || value === null || typeof value === 'boolean') return undefined;
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  if (typeof value === 'object' && !/^-?\d/.test(text)) return undefined; // a number that is kept by its digits is an object
  return text.length > 0 && text.length <= longestKey && text.isWellFormed() ? text : undefined;
}

/** The key as a part of a path, in which `/`, `:` and control characters have a meaning, or cannot be stored. */
function pathPart(key: string): string {
  // eslint-disable-next-line no-control-regex
  return key.replaceAll(/[\u0000-\u001f\u007f%/:]/g, (character) => encodeURIComponent(character));
}

/**
 * Works on the items in their order, some at the same time. After a failure no further item begins; those that have begun are waited for. An item that
 * waits keeps no other one from its work.
 * @throws the foremost failure
 */
async function each<T, R>(items: readonly T[], concurrency: number, work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  const failures: unknown[] = [];
  const waiting = items.entries();
  const take = async (): Promise<void> => {
    for (const [at, item] of waiting) {
      try {
        results[at] = await work(item);
      } catch (error) {
        failures.push(error);
      }
      if (failures.some((failure) => !(failure instanceof RunWaits))) return;
    }
  };
  await Promise.all(Array.from({ length: Math.min(concurrency, items.length) }, take));
  if (failures.length > 0) throw foremost(failures);
  return results;
}

function resultOf(end: TriedWork<StepsResult>): StepsResult {
  if ('failure' in end) throw new Error('Only collected failures are results');
  return end.result;
}

function told(key: string, end: TriedWork<StepsResult>): Json {
  if ('result' in end) return { key, output: end.result.output };
  const { code, message } = end.failure;
  return { key, error: { code, message } };
}
