import { FlowCompiler, excludedBy, meetsCondition, tryFlow } from '#libs/flows';
import type { CompiledFlow, Trial } from '#libs/flows';
import { CliFailure } from '../failure.js';
import type { EventReceived, FlowDocument } from '#libs/contracts';
import { parseJson } from '#libs/json';
import type { Json } from '#libs/json';
import { ModelGateway } from '#libs/models';
import type { ModelDirectory } from '#libs/models';
import { WrittenAnswers } from './written-answers.js';
import type { Answers } from './written-answers.js';
import { WrittenOperations } from './written-operations.js';
import { RecordedModel } from './recorded-model.js';
import type { Models } from './models.js';

/** A flow on an event, with what the outside said to it. */
export interface Tested extends Trial {
  /** The reason why no run would begin, in the words of the document. */
  readonly notRun?: string;
  /** The inputs of the steps that asked a model, by their ids. */
  readonly inputs: ReadonlyMap<string, string>;
  /** The answers that were given, written down or not, by the ids of their steps. */
  readonly answers: Answers;
}

/** Runs flows against written answers. */
export class FlowTester {
  private version = 0;

  constructor(
    private readonly models: Models,
    private readonly signal: AbortSignal,
  ) {}

  /**
   * @param others the flows that it may call
   * @throws CliFailure if a step has neither an answer nor a model, or calls a flow that is not there
   */
  async test(document: FlowDocument, event: EventReceived, answers: Answers, others: readonly FlowDocument[]): Promise<Tested> {
    const written = new WrittenAnswers(answers);
    const operations = new WrittenOperations(written);
    const model = new RecordedModel(written, (name, step) => this.models.providerOf(name, step));
    const compiler = new FlowCompiler({
      models: new ModelGateway({ provider: model, directory: oneModel, clock: skippingClock() }),
      operations: operations.services,
    });
    const compiled = (one: FlowDocument): CompiledFlow =>
      compiler.compile({ ...one.metadata, kind: 'Flow', version: (this.version += 1), document: one });
    const flow = compiled(document);
    const excluding = excludedBy(document, event);
    const { inputs } = model;
    const none = { steps: [], deliveries: [] };
    if (excluding !== undefined) return { ...none, inputs, answers, notRun: `spec.on.${excluding} excludes it` };
    if (!(await meetsCondition(flow, event))) return { ...none, inputs, answers, notRun: 'spec.on.when is not true' };
    const trial = await tryFlow(flow, event, this.signal, {
      currentVersion: (called) => {
        flowNamed(others, called);
        return 1;
      },
      compiled: (called) => Promise.resolve(compiled(flowNamed(others, called))),
    });
    return {
      ...trial,
      inputs: new Map([...inputs, ...operations.inputs]),
      answers: { ...Object.fromEntries([...model.answered].map(recorded)), ...answers },
    };
  }
}

/** Every provider and route is the model of the test. A step that names a route asks the model `route/NAME`. */
const oneModel: ModelDirectory = {
  planOf: (_, target, endpoint) => ({
    candidates: [{ endpoint, model: 'model' in target ? target.model : `route/${target.route}` }],
    fallbackOn: new Set(),
  }),
};

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
