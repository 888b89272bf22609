import type { FlowDocument } from '#libs/contracts';
import type { Json } from '#libs/json';
import type { Output } from '../output.js';
import { differences } from './difference.js';
import type { Difference } from './difference.js';
import type { Expectation, FlowCase } from './flow-test.js';
import type { Tested } from './flow.tester.js';
import { idOf } from './written-answers.js';

/** The places where a result is not as expected. A run that fails is as expected only if `fails` says so. */
export function differencesFrom(expected: Expectation, tested: Tested): Difference[] {
  const { steps, decided, deliveries, failure, notRun } = tested;
  const outputs = Object.fromEntries(steps.map(({ step, output }) => [step, output]));
  const found: { readonly [K in keyof Expectation]: Json | undefined } = {
    runs: notRun === undefined,
    decision: decided?.decision,
    steps: outputs,
    deliveries: deliveries.map(({ step, destination, payload }) => ({ step, destination, payload })),
    fails: failure?.code,
  };
  const named = Object.keys(found) as (keyof Expectation)[];
  const wrong = named.flatMap((key) => (expected[key] === undefined ? [] : differences(key, expected[key], found[key])));
  const isUnexpected = failure !== undefined && expected.fails === undefined;
  return isUnexpected ? [{ path: 'fails', expected: undefined, found: failure.code }, ...wrong] : wrong;
}

/** Prints a case: each step with its input and output, then what is not as expected. One that is as expected is a line. */
export function report(flow: FlowDocument, { name, expect }: FlowCase, tested: Tested, wrong: readonly Difference[], output: Output): void {
  const { steps, decided, deliveries, failure, notRun, inputs } = tested;
  const title = `${flow.metadata.name}: ${name}`;
  const seen = steps.map(({ step, kind, state, output: out }) => ({
    step,
    kind,
    state,
    input: inputs.get(step) ?? inputs.get(idOf(step)),
    output: out,
  }));
  const isTest = Object.keys(expect).length > 0;
  const lines = [
    title,
    ...(notRun === undefined ? [] : [`  does not run: ${notRun}`]),
    ...seen.flatMap(({ step, kind, state, input, output: out }) => [
      `  ${step} (${kind}) ${state}`,
      ...(input === undefined ? [] : [`    in   ${input}`]),
      ...(state === 'skipped' ? [] : [`    out  ${JSON.stringify(out)}`]),
    ]),
    ...(failure === undefined ? [] : [`  fails: ${failure.code}: ${failure.message}`]),
    ...(decided === undefined ? [] : [`  decision  ${JSON.stringify(decided.decision)}`]),
    ...deliveries.map(({ destination, payload }) => `  delivers to ${destination}  ${JSON.stringify(payload)}`),
    ...wrong.map(({ path, expected, found }) => `  ✗ ${path}: expected ${shown(expected)}, found ${shown(found)}`),
  ];
  const result = {
    flow: flow.metadata.name,
    case: name,
    passed: wrong.length === 0,
    notRun,
    steps: seen,
    ...decided,
    deliveries,
    failure,
    differences: wrong,
  };
  output.result(result, isTest && wrong.length === 0 ? `✓ ${title}` : lines.join('\n'));
}

/** Prints a case that could not be tested. */
export function reportUnusable(flow: FlowDocument, { name }: FlowCase, reason: string, output: Output): void {
  const result = { flow: flow.metadata.name, case: name, passed: false, unusable: reason };
  output.result(result, `✗ ${flow.metadata.name}: ${name}\n  could not be tested: ${reason}`);
}

function shown(value: Json | undefined): string {
  return value === undefined ? 'nothing' : JSON.stringify(value);
}
