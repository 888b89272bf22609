import { z } from 'zod';
import { json } from '#libs/contracts';
import type { FailureCode } from '#libs/contracts';

/** The failures of a model that a test can ask for, by their codes. Those of its gates follow from an output that does not pass them. */
export const modelFailures = [
  'model.unavailable',
  'model.outage',
  'model.limited',
  'model.credential',
  'model.misconfigured',
  'model.budgetSpent',
  'model.notFree',
  'model.refused',
  'model.answerTooLarge',
] as const satisfies readonly FailureCode[];
/** The failures of an operation that a test can ask for. `operation.inputInvalid` follows from the input alone. */
export const operationFailures = [
  'operation.refused',
  'operation.limited',
  'operation.unavailable',
  'operation.timeout',
  'operation.unauthorized',
  'operation.conflict',
  'operation.gone',
  'operation.addressForbidden',
  'operation.outputInvalid',
  'operation.uncertain',
  'connection.needsReauth',
  'connection.unavailable',
] as const satisfies readonly FailureCode[];
export type ModelFailureCode = (typeof modelFailures)[number];

const answer = z.union([
  z.strictObject({ output: json }),
  z.strictObject({ text: z.string() }),
  z.strictObject({ fails: z.enum([...modelFailures, ...operationFailures]) }),
  z.strictObject({ review: z.enum(['approved', 'rejected', 'expired']) }),
]);
/** The outside's answer to a step: its output, the text of a model as it comes, a failure, or the decision of a person; one that corrects is an output. */
export type WrittenAnswer = z.infer<typeof answer>;

/** The answers to the steps, by their paths or ids; a list is given one after the other. */
export const answersOfSteps = z.record(z.string(), z.union([answer, z.array(answer).min(1)]));

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
  answers: answersOfSteps.default({}),
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
