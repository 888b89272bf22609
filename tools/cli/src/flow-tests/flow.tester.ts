import { FlowCompiler, excludedBy, meetsCondition, tryFlow } from '#libs/flows';
import type { CompiledFlow, ReviewRequest, Trial, TrialDecision } from '#libs/flows';
import { CliFailure } from '../failure.js';
import { isForRequestsAlone, viewOf } from '#libs/contracts';
import type { DocumentLookup, EventReceived, FlowDocument } from '#libs/contracts';
import { parseJson } from '#libs/json';
import type { Json } from '#libs/json';
import { ModelGateway } from '#libs/models';
import { compileSchema } from '#libs/schemas';
import { AnswerUnusable, WrittenAnswers } from './written-answers.js';
import type { Answers } from './written-answers.js';
import { WrittenOperations } from './written-operations.js';
import { RecordedModel, naming } from './recorded-model.js';
import type { Models } from './models.js';
import { TestModels } from './test-models.js';
import type { ModelDocument } from './test-models.js';

/** A flow on an event, with what the outside said to it. */
export interface Tested extends Trial {
  /** The reason why no run would begin, in the words of the document. */
  readonly notRun?: string;
  /** The inputs of the steps that asked a model, by their paths. */
  readonly inputs: ReadonlyMap<string, string>;
  /** The answers that were given, written down or not, by the paths or ids of their steps. */
  readonly answers: Answers;
  /** Connections that the files do not have: inputs and answers of their operations were not checked. */
  readonly unchecked: ReadonlySet<string>;
}

/** The other documents of the files that a flow uses. */
export interface OtherDocuments {
  /** The flows that it may call. */
  readonly flows: readonly FlowDocument[];
  /** The routes that its steps name, and the providers of their candidates. */
  readonly models: readonly ModelDocument[];
  /** Finds the connections that its steps use, and their connectors. */
  readonly find: DocumentLookup;
}

/** Runs flows against written answers. */
export class FlowTester {
  private version = 0;

  constructor(
    private readonly models: Models,
    private readonly signal: AbortSignal,
  ) {}

  /** @throws CliFailure if a step has neither an answer nor a model, or names a flow or a route that is not there */
  async test(document: FlowDocument, event: EventReceived, answers: Answers, { flows, models, find }: OtherDocuments): Promise<Tested> {
    const written = new WrittenAnswers(answers);
    const operations = new WrittenOperations(written, document.metadata.tenant, find);
    const model = new RecordedModel(written, (name, step) => this.models.providerOf(name, step));
    const clock = skippingClock();
    const ofProvider = (provider: string): RecordedModel => model.inPlaceOf((name, step) => this.models.providerOf(name, step, provider));
    const directory = new TestModels(models, ofProvider, clock);
    const compiler = new FlowCompiler({
      models: naming(new ModelGateway({ provider: model, directory, clock })),
      operations: operations.services,
    });
    const compiled = (one: FlowDocument): CompiledFlow =>
      compiler.compile({ ...one.metadata, kind: 'Flow', version: (this.version += 1), document: one });
    const flow = compiled(document);
    const excluding = excludedBy(document, event);
    const { inputs } = model;
    const { unchecked } = operations;
    const none = { steps: [], deliveries: [], unchecked };
    if (excluding !== undefined) return { ...none, inputs, answers, notRun: `${whyExcluded(document, excluding)}: ${seen(event)}` };
    const refusal = await whyRefused(document, event);
    if (refusal !== undefined) return { ...none, inputs, answers, notRun: refusal };
    if (!(await meetsCondition(document, event, () => flow)))
      return { ...none, inputs, answers, notRun: `spec.on.when is not true: ${seen(event)}` };
    let trial: Trial;
    try {
      const called = {
        currentVersion: (name: string): number => {
          flowNamed(flows, name);
          return 1;
        },
        compiled: (name: string): Promise<CompiledFlow> => Promise.resolve(compiled(flowNamed(flows, name))),
      };
      trial = await tryFlow(flow, event, this.signal, { flows: called, decide: (step, request) => decisionOf(step, request, written) });
    } finally {
      await directory.close();
    }
    return {
      ...trial,
      unchecked,
      inputs: new Map([...inputs, ...operations.inputs]),
      answers: { ...Object.fromEntries([...model.answered].map(recorded)), ...answers },
    };
  }
}

function whyExcluded({ metadata: { name }, spec }: FlowDocument, field: 'sources' | 'types'): string {
  if (!isForRequestsAlone(spec)) return `spec.on.${field} excludes it`;
  return `it has onRequest and no on, so it takes requests alone, whose source is its own name (leave the source out, or give --source ${name})`;
}

/** The reason why the door would not take the request; undefined if it would, or if the event is none. */
async function whyRefused({ spec: { onRequest } }: FlowDocument, event: EventReceived): Promise<string | undefined> {
  if (event.request === undefined || onRequest === undefined) return undefined;
  const { data } = viewOf(event);
  if (typeof data !== 'object' || data === null || Array.isArray(data)) return 'the door takes objects alone as bodies of requests';
  const [problem] = onRequest.schema === undefined ? [] : await compileSchema(onRequest.schema).problemsOf(data);
  return problem === undefined ? undefined : `the door refuses it, because the body does not fit spec.onRequest.schema: ${problem}`;
}

/** The fields of the event that a sample may leave to the command. */
function seen({ type, source, customer }: EventReceived): string {
  return `its type is ${type}, its source ${source}, its customer ${customer}`;
}

/** The decision of a person, as the test wrote it down; without one, nobody decides in time. @throws AnswerUnusable */
async function decisionOf(step: string, { schema }: ReviewRequest, written: WrittenAnswers): Promise<TrialDecision> {
  const answer = written.next(step);
  if (answer === undefined) return { outcome: 'expired' };
  if ('review' in answer) return { outcome: answer.review };
  if ('output' in answer) {
    const problems = schema === null ? [] : await compileSchema(schema).problemsOf(answer.output);
    if (problems.length === 0) return { outcome: 'corrected', value: answer.output };
    throw new AnswerUnusable(step, `answers.${step} does not fit the schema of the review: ${problems.join('; ')}`);
  }
  throw new AnswerUnusable(
    step,
    `The step ${step} asks a person: answers.${step} is { review: approved }, or { output: … } for another value`,
  );
}

/** @throws CliFailure if there is none */
function flowNamed(flows: readonly FlowDocument[], name: string): FlowDocument {
  const found = flows.find((flow) => flow.metadata.name === name);
  if (found === undefined) throw new CliFailure(`A step calls the flow ${name}, which is not in the files`, 'unusable');
  return found;
}

/** Waits take no time, and pass all the same: nobody needs to wait for a failure that is written down. */
function skippingClock(): ConstructorParameters<typeof ModelGateway>[0]['clock'] & {} {
  let skippedMs = 0;
  return {
    now: () => performance.now() + skippedMs,
    sleep: (ms) => {
      skippedMs += ms;
      return Promise.resolve();
    },
  };
}

/** The answer in the shortest form that says the same. */
function recorded([step, text]: [string, string]): [string, Answers[string]] {
  try {
    return [step, { output: parseJson(text) satisfies Json }];
  } catch {
    return [step, { text }];
  }
}
