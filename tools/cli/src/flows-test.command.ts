import { counted } from './counted.js';
import { basename, dirname, isAbsolute, join, relative } from 'node:path';
import type { Document, FlowDocument } from '#libs/contracts';
import { readAs } from '#libs/documents';
import type { DocumentProblem } from '#libs/documents';
import { readDocuments } from './document.files.js';
import type { FileDocument } from './document.files.js';
import { CliFailure } from './failure.js';
import { FileChanges } from './flow-tests/file-changes.js';
import { answersOfSteps, flowTest } from './flow-tests/flow-test.js';
import type { FlowCase, FlowTest } from './flow-tests/flow-test.js';
import { FlowTester } from './flow-tests/flow.tester.js';
import type { OtherDocuments } from './flow-tests/flow.tester.js';
import { Models } from './flow-tests/models.js';
import type { ModelDocument } from './flow-tests/test-models.js';
import { recordCase } from './flow-tests/record.js';
import { differencesFrom, report, reportUnusable } from './flow-tests/report.js';
import { eventOf, readSample } from './flow-tests/sample.event.js';
import type { SampleOptions } from './flow-tests/sample.event.js';
import { StepPaths } from './flow-tests/step.paths.js';
import { AnswerUnusable, nameIn } from './flow-tests/written-answers.js';
import type { Answers } from './flow-tests/written-answers.js';
import type { Output } from './output.js';
import { lookupIn, problemsIn } from './validate.command.js';

export interface FlowsTestOptions extends SampleOptions {
  /** A file with one sample event: the files are flows. Without it, they are tests. */
  event?: string;
  /** A file with the answers to the steps, for a sample event. */
  answers?: string;
  /** The flow, where a file has several. */
  flow?: string;
  /** A file that what was seen is added to, as a case of a test. */
  record?: string;
  modelUrl?: string;
  watch: boolean;
}

/** The parts of the process that the command uses. */
interface Surroundings {
  output: Output;
  environment: NodeJS.ProcessEnv;
  signal: AbortSignal;
}

interface FoundFlow {
  readonly document: FlowDocument;
  readonly others: OtherDocuments;
}

/** One case, ready to run. */
interface PreparedCase extends FoundFlow {
  readonly test: FlowCase;
  /** The folder from which paths in the case are read. */
  readonly directory: string;
  /** `file:line:column` of the answer to a step; the empty path is that of the case. Undefined if no file has any. */
  readonly placeOf?: (answer: readonly string[]) => string;
}

/**
 * `millrace flows test`: runs flows on sample events without a server and without effects, and prints the input and output of each step. A file of tests
 * says what the outside answers and what is expected.
 * @throws CliFailure if a case is not as expected, or a file cannot be used
 */
export async function testFlows(files: readonly string[], options: FlowsTestOptions, around: Surroundings): Promise<void> {
  const { environment, output, signal } = around;
  const { modelUrl = environment['MODEL_BASE_URL'] } = options;
  const models = new Models(modelUrl === undefined ? undefined : { baseUrl: modelUrl, apiKey: environment['MODEL_API_KEY'] ?? 'none' });
  try {
    if (!options.watch) return await testOnce(files, options, models, around);
    while (!signal.aborted) {
      const read = new FileChanges();
      await testOnce(files, options, models, around, read).catch((error: unknown) => {
        if (!(error instanceof CliFailure)) throw error;
        output.note(error.message);
      });
      output.note(`Waits for a change of ${read.files.join(', ')}; Ctrl-C ends it.`);
      await read.next(signal);
    }
  } finally {
    await models.close();
  }
}

async function testOnce(
  files: readonly string[],
  options: FlowsTestOptions,
  models: Models,
  { output, signal }: Surroundings,
  read: FileChanges = new FileChanges(),
): Promise<void> {
  const tester = new FlowTester(models, signal);
  const cases = await casesOf(files, options, output, read);
  const bad = { failed: 0, unusable: 0 };
  const unchecked = new Set<string>();
  for (const one of cases) {
    const { document, others, test, directory } = one;
    try {
      const sample = typeof test.event === 'string' ? readSample(read.noted(within(directory, test.event))) : test.event;
      const event = eventOf(sample, document, options);
      const tested = await tester.test(document, event, test.answers, others);
      for (const connection of tested.unchecked) unchecked.add(connection);
      const wrong = differencesFrom(test.expect, tested);
      if (wrong.length > 0) bad.failed += 1;
      report(document, test, tested, wrong, output);
      if (options.record === undefined) continue;
      const { type, source, customer } = event;
      const flow = relative(dirname(options.record), files[0]!);
      recordCase(options.record, { flow, name: document.metadata.name }, { ...test, event: { ...sample, type, source, customer } }, tested);
    } catch (error) {
      if (!(error instanceof CliFailure)) throw error;
      const told = withPlace(error, one);
      if (options.event !== undefined) throw told;
      bad.unusable += 1;
      reportUnusable(document, test, told.message, output);
    }
  }
  for (const connection of unchecked) {
    output.note(
      `The connection ${connection} is not in the files: inputs and answers of its operations were not checked. A folder of documents can stand in the place of the flow's file.`,
    );
  }
  const hasExpectations = cases.some(({ test }) => Object.keys(test.expect).length > 0);
  const { failed, unusable } = bad;
  if (failed + unusable > 0) throw new CliFailure(summaryOf(bad, countOf(cases.length)), unusable > 0 ? 'unusable' : 'refused');
  if (hasExpectations) output.note(`${countOf(cases.length)} passed.`);
}

function summaryOf({ failed, unusable }: { failed: number; unusable: number }, all: string): string {
  if (unusable === 0) return `${failed} of ${all} failed.`;
  if (failed === 0) return `${unusable} of ${all} could not be tested.`;
  return `${failed} of ${all} failed, ${unusable} could not be tested.`;
}

/** The failure with the place of the answer that it is about, or of the case. */
function withPlace(failure: CliFailure, { test, placeOf }: PreparedCase): CliFailure {
  if (placeOf === undefined) return failure;
  const name = failure instanceof AnswerUnusable ? nameIn(test.answers, failure.step) : undefined;
  return new CliFailure(`${placeOf(name === undefined ? [] : [name])} ${failure.message}`, failure.kind, failure.code);
}

function countOf(cases: number): string {
  return counted(cases, 'case');
}

async function casesOf(files: readonly string[], options: FlowsTestOptions, output: Output, read: FileChanges): Promise<PreparedCase[]> {
  const { event, flow } = options;
  if (event === undefined && options.record !== undefined)
    throw new CliFailure('--record needs --event FILE, which it makes a case of', 'unusable');
  if (event === undefined && options.answers !== undefined)
    throw new CliFailure('--answers needs --event FILE: the cases of a file of tests have their own answers', 'unusable');
  if (options.record !== undefined && files.length > 1)
    throw new CliFailure('With --record, give one file or folder of documents', 'unusable');
  if (event !== undefined) {
    const found = await flowIn(files, flow, output, read);
    const { answers, placeOf } = options.answers === undefined ? { answers: {} } : answersIn(read.noted(options.answers), found);
    return [
      { ...found, directory: '.', test: { name: basename(event, '.json'), event, answers, expect: {} }, ...(placeOf && { placeOf }) },
    ];
  }
  const cases: PreparedCase[] = [];
  for (const file of files) {
    for (const { test, found } of testsIn(read.noted(file))) {
      const flows = await flowIn([within(dirname(file), test.flow)], test.name ?? flow, output, read);
      const problems = test.cases.flatMap((one, at) => unknownSteps(one, flows, ['cases', String(at)]));
      if (problems.length > 0) throw new CliFailure(linesOf(found, problems), 'refused');
      const directory = dirname(file);
      cases.push(
        ...test.cases.map((one, at) => {
          const placeOf: PreparedCase['placeOf'] = (answer) =>
            found.positionOf(['cases', String(at), ...(answer.length === 0 ? [] : ['answers', ...answer])]);
          return { ...flows, test: one, directory, placeOf };
        }),
      );
    }
  }
  return cases;
}

/** The answers of a file of their own. @throws CliFailure that names each place at which they do not fit */
function answersIn(file: string, { document, others }: FoundFlow): { answers: Answers; placeOf: PreparedCase['placeOf'] } {
  const found = readDocuments([file]);
  const [first] = found as [FileDocument];
  if (found.length > 1) throw new CliFailure(`${file} has ${found.length} documents: give one, whose fields are steps`, 'unusable');
  const parsed = readAs(answersOfSteps, first.value);
  const problems = 'problems' in parsed ? parsed.problems : unknownSteps({ answers: parsed.value }, { document, others }, []);
  if ('problems' in parsed || problems.length > 0) throw new CliFailure(linesOf(first, problems), 'refused');
  return { answers: parsed.value, placeOf: (answer) => first.positionOf(answer) };
}

/** Answers and expectations that nothing would look at, because the flow has no such steps. @param path the place of the case */
function unknownSteps(
  { answers, expect = {} }: Pick<FlowCase, 'answers'> & Partial<Pick<FlowCase, 'expect'>>,
  { document, others }: FoundFlow,
  path: readonly string[],
): DocumentProblem[] {
  const paths = new StepPaths(document, others.flows);
  const problems = (names: object, field: readonly string[], problemOf: (name: string) => string | undefined): DocumentProblem[] =>
    Object.keys(names).flatMap((name) => {
      const message = problemOf(name);
      return message === undefined ? [] : [{ path: [...path, ...field, name], message }];
    });
  return [
    ...problems(answers, path.length === 0 ? [] : ['answers'], (name) => paths.problemOfAnswer(name)),
    ...problems(expect.steps ?? {}, ['expect', 'steps'], (name) => paths.problemOfOutput(name)),
  ];
}

function within(directory: string, path: string): string {
  return isAbsolute(path) ? path : join(directory, path);
}

/** @throws CliFailure that names each place at which the file is no test */
function testsIn(file: string): { test: FlowTest; found: FileDocument }[] {
  return readDocuments([file]).map((found) => {
    if (isDocument(found)) {
      throw new CliFailure(`${file} is a document, not a test: give --event FILE with a sample event, or a file of tests`, 'unusable');
    }
    const parsed = readAs(flowTest, found.value);
    if ('problems' in parsed) throw new CliFailure(linesOf(found, parsed.problems), 'refused');
    return { test: parsed.value, found };
  });
}

function isDocument({ value }: FileDocument): boolean {
  return typeof value === 'object' && value !== null && 'apiVersion' in value;
}

/** True for documents of these kinds. */
function isOf(kinds: readonly unknown[], { value }: FileDocument): boolean {
  return typeof value === 'object' && value !== null && 'kind' in value && kinds.includes(value.kind);
}

/** Documents that a flow cannot be tried without. */
const used = ['Flow', 'ModelRoute', 'ModelProvider'];
/** Documents that it is checked against. One that has a problem, such as a placeholder for a secret, is no problem of the flow. */
const checkedAgainst = ['Connection', 'Connector'];

function linesOf(file: FileDocument, problems: readonly DocumentProblem[]): string {
  return problems.map(({ path, message }) => `${file.positionOf(path)} ${path.join('.')}: ${message}`).join('\n');
}

/** @throws CliFailure if the files have no such flow, or it could not be applied */
async function flowIn(files: readonly string[], name: string | undefined, output: Output, read: FileChanges): Promise<FoundFlow> {
  const documents = readDocuments(files.map((file) => read.noted(file)));
  const flows: FlowDocument[] = [];
  const models: ModelDocument[] = [];
  for (const file of documents.filter((one) => isOf(used, one))) {
    const { document, problems } = await problemsIn(file.value);
    if (problems.length > 0) throw new CliFailure(linesOf(file, problems), 'refused');
    if (document?.kind === 'Flow') flows.push(document);
    else if (document?.kind === 'ModelRoute' || document?.kind === 'ModelProvider') models.push(document);
  }
  const others: Document[] = [];
  for (const file of documents.filter((one) => isOf(checkedAgainst, one))) {
    const { document, problems } = await problemsIn(file.value);
    if (document !== undefined && problems.length === 0) others.push(document);
    else output.note(`Not checked against: ${linesOf(file, problems)}`);
  }
  const found = name === undefined ? flows : flows.filter((flow) => flow.metadata.name === name);
  if (found.length === 1) return { document: found[0]!, others: { flows, models, find: lookupIn(others) } };
  const names = flows.map((flow) => flow.metadata.name).join(', ');
  const where = files.join(', ');
  if (flows.length === 0) throw new CliFailure(`There is no Flow in ${where}`, 'unusable');
  throw new CliFailure(
    name === undefined
      ? `${where} has several flows: name one with --flow (${names})`
      : `${where} has the flows ${names}, and none of the name ${name}`,
    'unusable',
  );
}
