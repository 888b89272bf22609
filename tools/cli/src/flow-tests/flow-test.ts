import { z } from 'zod';
import { json } from '#libs/contracts';
import type { FailureCode } from '#libs/contracts';

/** The failures of a model or an operation that a test can ask for, by their code. */
const answerFailures = [
  'model.unavailable',
  'model.limited',
  'model.credential',
  'model.refused',
  'operation.refused',
  'operation.limited',
  'operation.unavailable',
  'operation.unauthorized',
  'operation.conflict',
  'operation.uncertain',
] as const satisfies readonly FailureCode[];
export type AnswerFailure = (typeof answerFailures)[number];

const answer = z.union([
  z.strictObject({ output: json }),
  z.strictObject({ text: z.string() }),
  z.strictObject({ fails: z.enum(answerFailures) }),
  z.strictObject({ review: z.enum(['approved', 'rejected', 'expired']) }),
]);
/** The outside's answer to a step: its output, the text of a model as it comes, a failure, or the decision of a person; one that corrects is an output. */
export type WrittenAnswer = z.infer<typeof answer>;

/** An event as expressions see it, without its id and the time at which it was received. */
export const sampleEvent = z.strictObject({
  type: z.string().min(1).max(256).optional(),
  source: z.string().optional(),
  customer: z.string().optional(),
  occurredAt: z.iso.datetime({ offset: true }).optional(),
  data: json,
});
export type SampleEvent = z.infer<typeof sampleEvent>;

const expectation = z
  .strictObject({
    runs: z.boolean(),
    decision: json,
    steps: z.record(z.string(), json),
    deliveries: z.array(z.strictObject({ step: z.string(), destination: z.string(), payload: json }).partial()),
    fails: z.string(),
  })
  .partial();
/** The expected result. A field that is not named is not checked. */
export type Expectation = z.infer<typeof expectation>;

const flowCase = z.strictObject({
  name: z.string().min(1),
  event: z.union([z.string().min(1), sampleEvent]),
  answers: z.record(z.string(), z.union([answer, z.array(answer).min(1)])).default({}),
  expect: expectation.default({}),
});
export type FlowCase = z.infer<typeof flowCase>;

/** A file of tests: a flow, by the path of its file from here, and cases for it. */
export const flowTest = z.strictObject({
  flow: z.string().min(1),
  name: z.string().optional(),
  cases: z.array(flowCase).min(1),
});
export type FlowTest = z.infer<typeof flowTest>;
