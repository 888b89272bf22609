import { expect, test } from 'vitest';
import { document } from '#libs/contracts';
import type { Document } from '#libs/contracts';
import { FlowCalls } from './flow-calls.js';

const flow = (name: string, ...called: string[]): Document =>
  document.parse({
    apiVersion: 'millrace/v1',
    kind: 'Flow',
    metadata: { tenant: 'acme', name },
    spec: {
      steps: [
        { id: 'a', map: { expression: '1' } },
        { id: 'r', branch: { cases: [{ when: 'true', steps: called.map((one, at) => ({ id: `c${at}`, call: { flow: one } })) }] } },
      ],
    },
  });
const problemsOf = (first: Document, ...others: Document[]): string[] =>
  new FlowCalls([first, ...others]).problemsOf(first).map(({ path, message }) => `${path.join('.')}: ${message}`);

test('a flow that calls itself, directly or through others, is refused with the way back', () => {
  const first = 'spec.steps.1.branch.cases.0.steps.0.call.flow';
  const rule = 'a flow must not call itself, directly or through others';
  expect(problemsOf(flow('a', 'a'))).toEqual([`${first}: calls the flow itself: a → a; ${rule}`]);
  expect(problemsOf(flow('a', 'd', 'b'), flow('b', 'c'), flow('c', 'd', 'a'), flow('d'))).toEqual([
    `spec.steps.1.branch.cases.0.steps.1.call.flow: calls the flow itself: a → b → c → a; ${rule}`,
  ]);
  expect(problemsOf(flow('a', 'b', 'b'), flow('b'))).toEqual([]);
});

test('flows that call one another more than five deep are refused, whichever of them is applied', () => {
  const chain = (length: number): Document[] =>
    Array.from({ length }, (_, at) => (at === length - 1 ? flow(`f${at}`) : flow(`f${at}`, `f${at + 1}`)));
  const six = chain(6);
  expect(new FlowCalls(six).problemsOf(six[0]!)).toEqual([]);
  const seven = chain(7);
  for (const at of [0, 3, 5]) {
    expect(new FlowCalls(seven).problemsOf(seven[at]!).map(({ message }) => message)).toEqual([
      'makes flows call one another 6 deep: f0 → f1 → f2 → f3 → f4 → f5 → f6; 5 is the most',
    ]);
  }
});
