import { execFileSync } from 'node:child_process';
import { getPriority } from 'node:os';
import { beforeEach, describe, expect, test } from 'vitest';
import { EvaluationsBusy } from '#libs/contracts';
import { ExpressionFailed, compileExpression } from '#libs/expressions';
import { waitFor } from '#libs/testing';
import { EvaluationProcesses } from './evaluation-processes.js';

/** The program of expressions; any would do. */
const program = new URL('../../expressions/src/expression.program.js', import.meta.url);
const limits = { timeoutMs: 1_000, depth: 200, items: 100_000, values: 1_000_000 };
const refusal = (waiting: number): EvaluationsBusy => new EvaluationsBusy(waiting);
/** The value, or the failure as an error. */
async function valueOf(evaluation: ReturnType<EvaluationProcesses['evaluate']>): Promise<unknown> {
  const result = await evaluation;
  if ('failure' in result) throw Object.assign(new Error(result.failure.reason), { limit: result.failure.limit });
  return result.value;
}

const numbers = (length: number): number[] => Array.from({ length }, (_, at) => at);

/** Each needs minutes, or more memory than there is, in one step that no clock of JSONata interrupts. */
const hostile: [string, unknown][] = [
  ['$match(t, /a[^b]*b|a/)', { t: 'a'.repeat(100_000) }],
  ['$match(t, /<[^>]*>|./)', { t: '<'.repeat(60_000) }],
  ['$replace(t, /<[^>]*>|./, "x")', { t: '<'.repeat(60_000) }],
  ['$split(t, /,/)', { t: ','.repeat(1_000_000) }],
  ['*', Object.fromEntries(numbers(200_000).map((n) => [`k${n}`, [n]]))],
  ['a{ "k": i }', { a: numbers(300_000).map((i) => ({ i })) }],
  ['$base64encode($reduce([1..27], function($a, $b) { $a & $a }, "xy"))', {}],
  ['$join(a, $$.t)', { a: numbers(50_000).map(() => 'x'), t: 'y'.repeat(20_000) }],
  ['$reduce([1..30], function($a, $b) { $a & $a }, "x")', {}],
  ['$string($map([1..300], function($x) { $$.t }))', { t: 'x'.repeat(1_000_000) }],
];

test.each(hostile)(
  '%s ends as a failure of its event, and the others go on meanwhile',
  async (text, input) => {
    let isOver = false;
    const slow = Promise.resolve(compileExpression(text, { owner: text }).evaluate(input)).finally(() => (isOver = true));
    slow.catch(() => undefined);
    // Each is of a tenant of its own, which has its share of the processor to itself. A timer and another owner's expression are served before a second is over, or the test has its answer at once.
    const heartbeat = new Promise<void>((resolve) => setImmediate(resolve));
    await heartbeat;
    if (!isOver)
      expect(await compileExpression('$map([1, 2], function($x) { $x * n })', { owner: 'other' }).evaluate({ n: 2 })).toEqual([2, 4]);
    await expect(slow).rejects.toBeInstanceOf(ExpressionFailed);
    await expect(slow).rejects.toMatchObject({ limit: expect.stringMatching(/time|memory|size/) });
  },
  30_000,
);

test('an owner has one evaluation under way, so that it cannot keep another one waiting', async () => {
  const processes = new EvaluationProcesses({ program, refusal, atOnce: 2 });
  const finished: string[] = [];
  const evaluate = (owner: string, text: string): Promise<unknown> =>
    valueOf(processes.evaluate(owner, { text, limits: { ...limits, timeoutMs: 300 } }, { t: '<'.repeat(60_000), n: 3 }))
      .catch((error: unknown) => error)
      .finally(() => finished.push(owner));
  const busy = [1, 2, 3].map(() => evaluate('hostile', '$match(t, /<[^>]*>|./)'));
  await evaluate('other', '$map([n], function($x) { $x })');
  expect(finished).not.toEqual(['hostile', 'hostile', 'hostile', 'other']);
  await Promise.all(busy);
  expect(finished.filter((owner) => owner === 'hostile')).toHaveLength(3);
}, 30_000);

test('after a process was killed, the next evaluation has a new one', async () => {
  const processes = new EvaluationProcesses({ program, refusal, atOnce: 1 });
  const evaluate = (text: string): Promise<unknown> => valueOf(processes.evaluate('a', { text, limits }, { t: '<'.repeat(60_000) }));
  await expect(evaluate('$match(t, /<[^>]*>|./)')).rejects.toThrow('It took longer than 1000 ms');
  expect(await evaluate('$sum([1..10])')).toBe(55);
}, 30_000);

test('an expression whose values need more memory than a process has is a failure of its event', async () => {
  const processes = new EvaluationProcesses({ program, refusal, atOnce: 1, memoryMegabytes: 64 });
  // 200 MB of texts, and a small result.
  const text = '$count($map([1..400], function($x) { $uppercase($$.t & $string($x)) }))';
  const evaluation = valueOf(processes.evaluate('a', { text, limits: { ...limits, timeoutMs: 60_000 } }, { t: 'x'.repeat(500_000) }));
  await expect(evaluation).rejects.toMatchObject({ limit: 'memory', message: expect.stringContaining('more memory than 64 MiB') });
  expect(await valueOf(processes.evaluate('a', { text: '$sum([1..10])', limits }, {}))).toBe(55);
}, 60_000);

test('what a process computes is what this one would: values, no value, and why not', async () => {
  const processes = new EvaluationProcesses({ program, refusal, atOnce: 1 });
  const evaluate = (text: string, input: unknown): Promise<unknown> => valueOf(processes.evaluate('a', { text, limits }, input));
  expect(await evaluate('{ "a": a, "n": null }', { a: [1, 'x', true] })).toStrictEqual({ a: [1, 'x', true], n: null });
  expect(await evaluate('nothing', {})).toBeUndefined();
  await expect(evaluate('$number(a)', { a: 'x' })).rejects.toThrow(`Unable to cast value to a number: "x"`);
}, 30_000);

/** The processes for evaluations that this one has started, except those in `others`. */
function childrenBeside(others: ReadonlySet<number>): number[] {
  const lines = execFileSync('ps', ['-A', '-o', 'pid=,ppid=,stat=,args='], { encoding: 'utf8' }).split('\n');
  return lines.flatMap((line) => {
    const [, pid, parent, state, name] = /^\s*(\d+)\s+(\d+)\s+(\S+)\s+(.*)$/.exec(line) ?? [];
    const isOne = Number(parent) === process.pid && !state!.startsWith('Z') && /evaluation\.main|millrace evaluation/.test(name!);
    return isOne && !others.has(Number(pid)) ? [Number(pid)] : [];
  });
}

test('an owner may have only so many evaluations waiting, and the refusal says that a later try may succeed', async () => {
  const processes = new EvaluationProcesses({ program, refusal, atOnce: 1, maxWaiting: 2 });
  const evaluate = (owner: string): Promise<unknown> => valueOf(processes.evaluate(owner, { text: '$sum([1..10])', limits }, {}));
  const accepted = [1, 2, 3].map(() => evaluate('many')); // one under way, two that wait
  await expect(evaluate('many')).rejects.toMatchObject({ code: 'evaluation.busy', outcome: 'retry' });
  expect(await evaluate('other')).toBe(55);
  expect(await Promise.all(accepted)).toEqual([55, 55, 55]);
  expect(await evaluate('many')).toBe(55);
}, 30_000);

test('an owner that took more than its share rests, is refused sooner, and keeps nobody else waiting', async () => {
  const processes = new EvaluationProcesses({ program, refusal, atOnce: 1, share: 0.001, burstMs: 50, maxWaitingAtRest: 1 });
  const evaluate = (owner: string, text: string): Promise<unknown> =>
    valueOf(processes.evaluate(owner, { text, limits: { ...limits, timeoutMs: 100 } }, { t: '<'.repeat(60_000) }));
  await expect(evaluate('greedy', '$match(t, /<[^>]*>|./)')).rejects.toMatchObject({ limit: 'time' });
  let isOver = false;
  void evaluate('greedy', '$sum([1..10])').finally(() => (isOver = true)); // after minutes
  await expect(evaluate('greedy', '$sum([1..10])')).rejects.toMatchObject({ code: 'evaluation.busy' });
  for (const _ of [1, 2, 3]) expect(await evaluate('other', '$sum([1..10])')).toBe(55);
  expect(isOver).toBe(false);
}, 30_000);

test('an owner that has rested goes on', async () => {
  const processes = new EvaluationProcesses({ program, refusal, atOnce: 1, share: 1, burstMs: 1 });
  const evaluate = (): Promise<unknown> => valueOf(processes.evaluate('a', { text: '$sum([1..1000])', limits }, {}));
  expect(await Promise.all([evaluate(), evaluate(), evaluate()])).toEqual([500_500, 500_500, 500_500]);
}, 30_000);

describe('processes', () => {
  let others: ReadonlySet<number>;
  let processes: EvaluationProcesses;
  const hostileText = '$match(t, /<[^>]*>|./)';
  const evaluate = (owner: string, text: string, timeoutMs = 200): Promise<unknown> =>
    valueOf(processes.evaluate(owner, { text, limits: { ...limits, timeoutMs } }, { t: '<'.repeat(60_000) }));

  beforeEach(() => {
    others = new Set(childrenBeside(new Set()));
    processes = new EvaluationProcesses({ program, refusal, atOnce: 1 });
  });

  test('leave the processor to others', async () => {
    await evaluate('a', '$sum([1..10])');
    expect(childrenBeside(others).map((pid) => getPriority(pid))).toEqual([10, 10]);
  });

  test('that have nothing to do end after a while, but for one that stands ready', async () => {
    processes = new EvaluationProcesses({ program, refusal, atOnce: 3, idleMs: 50 });
    await Promise.all(['a', 'b', 'c'].map((owner) => evaluate(owner, '$sum([1..10])', 1_000)));
    await waitFor(() => childrenBeside(others).length === 1, { what: 'the others to end' });
    const [kept] = childrenBeside(others);
    expect(await evaluate('a', '$sum([1..10])', 1_000)).toBe(55);
    await waitFor(() => childrenBeside(others).length === 1, { what: 'its spare to end' });
    expect(childrenBeside(others)).toEqual([kept]);
  });

  test('stand ready beside the one that evaluates, so that a killed one is no wait, and are one more than evaluations', async () => {
    await evaluate('a', '$sum([1..10])');
    const [first, spare] = childrenBeside(others);
    expect(spare).toBeDefined();
    await expect(evaluate('hostile', hostileText)).rejects.toMatchObject({ limit: 'time' });
    expect(await evaluate('b', '$sum([1..10])')).toBe(55);
    const after = childrenBeside(others);
    expect(after.filter((pid) => pid === first || pid === spare)).toHaveLength(1);
    expect(after.length).toBeLessThanOrEqual(2);
  });

  test('that the machine does not let run fail nothing: the limit is of processor time', async () => {
    await evaluate('a', '$sum([1..10])');
    const children = childrenBeside(others);
    children.forEach((pid) => process.kill(pid, 'SIGSTOP'));
    const sum = evaluate('a', '$sum([1..10])');
    const limitOver = Promise.withResolvers<void>();
    setTimeout(limitOver.resolve, 400); // twice the limit, more than it and the grace
    await limitOver.promise;
    children.forEach((pid) => process.kill(pid, 'SIGCONT'));
    expect(await sum).toBe(55);
  });

  test('that do not go on at all are given up in the end', async () => {
    await evaluate('a', '$sum([1..10])');
    childrenBeside(others).forEach((pid) => process.kill(pid, 'SIGSTOP'));
    await expect(evaluate('a', '$sum([1..10])', 50)).rejects.toMatchObject({ limit: 'time' });
    childrenBeside(others).forEach((pid) => process.kill(pid, 'SIGCONT'));
  });

  test('end a loop by themselves and go on: nothing is killed', async () => {
    await evaluate('a', '$sum([1..10])');
    const before = childrenBeside(others);
    await expect(evaluate('a', '($f := function($n) { $f($n + 1) }; $f(1))')).rejects.toMatchObject({ limit: 'time' });
    expect(childrenBeside(others)).toEqual(before);
  });

  test('serve owners in turns, however many evaluations one of them has waiting', async () => {
    const finished: string[] = [];
    const ask = (owner: string): Promise<unknown> => evaluate(owner, '$sum([1..10])').then(() => finished.push(owner));
    await Promise.all([...numbers(20).map(() => ask('many')), ask('one'), ask('two'), ask('two')]);
    expect(finished.indexOf('one')).toBeLessThan(4);
    expect(finished.lastIndexOf('two')).toBeLessThan(7);
  });
}, 60_000);
