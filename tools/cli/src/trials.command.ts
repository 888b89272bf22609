import { counted } from './counted.js';
import { randomUUID } from 'node:crypto';
import { parseJson } from '#libs/json';
import type { Json } from '#libs/json';
import { sleep, wallTimeMs } from '#libs/time';
import type { Connection } from './connection.js';
import { readDocuments } from './document.files.js';
import type { FileDocument } from './document.files.js';
import { CliFailure } from './failure.js';
import { ask, askPages } from './graphql.client.js';
import type { Output } from './output.js';
import { accepted, refusals } from './refusal.js';
import type { Refusal } from './refusal.js';

interface ChosenFlow {
  flow?: string;
  flowVersion?: number;
  outputs?: string;
}

export interface TryOptions extends ChosenFlow {
  event?: string;
  data?: string;
  type?: string;
  source?: string;
  customer?: string;
  step?: string;
}

export interface BacktestOptions extends ChosenFlow {
  last: number;
  customer?: string;
  source?: string[];
  type?: string;
  from?: string;
  before?: string;
  maxCost?: string;
  maxSeconds?: number;
  expectSame: boolean;
}

interface Watched {
  output: Output;
  signal: AbortSignal;
}

interface Cost {
  amount: string;
  currency: string;
}

const stopReasons = {
  COST: 'its calls of models had cost what they may (--max-cost)',
  TIME: 'its time was over (--max-seconds)',
  LOOKS: 'it had looked at 50 events for each of --last; narrow the search by --source, --type or --from, or raise --last',
};

/** The changes that outcomes of trials name, in words. */
const changes = {
  SAME: 'as it was decided',
  DIFFERENT: 'decided otherwise',
  NOT_RUN: 'the flow would not run on the event any more',
  FAILED: 'it fails now',
  RECOVERED: 'that run failed',
};

/** The sources of reviews that steps of trials name, in words. */
const reviewSources = {
  STORED: 'as a person decided on it in the stored run',
  OTHER_QUESTION: 'it expired here: the stored run asked a person something else',
  NOBODY: 'it expired here: no person has decided on it in the stored run',
};

interface Trial {
  id: string;
  flow: string;
  flowVersion: number | null;
  state: 'RUNNING' | 'COMPLETED' | 'CANCELLED' | 'FAILED';
  stoppedBy: keyof typeof stopReasons | null;
  scanned: number;
  skipped: number;
  errorCode: string | null;
  errorMessage: string | null;
  summary: Summary;
}

interface Summary {
  events: number;
  same: number;
  different: number;
  new: number;
  notRun: number;
  failed: number;
  recovered: number;
  promotable: number;
  storedReviews: number;
  expiredReviews: number;
  medianDurationMs: number | null;
  baseMedianDurationMs: number | null;
  costs: Cost[];
  baseCosts: Cost[];
}

interface Outcome {
  eventId: string;
  change: 'NEW' | keyof typeof changes;
  isMatch: boolean;
  decision: Json;
  deliveries: { step: string; destination: string; payload: Json }[];
  differences: { path: string; before: Json; after: Json }[];
  differenceCount: number;
  errorCode: string | null;
  errorMessage: string | null;
  durationMs: number | null;
  baseDurationMs: number | null;
  baseRun: { id: string } | null;
  costs: Cost[];
  storedReviews: number;
  expiredReviews: number;
  steps:
    | {
        id: string;
        kind: string;
        state: string;
        input: Json;
        output: Json;
        failure: { code: string; message: string } | null;
        durationMs: number;
        reviewSource: keyof typeof reviewSources | null;
        takenReview: { id: string; decidedBy: string | null } | null;
      }[]
    | null;
}

const trialFields = `id flow flowVersion state stoppedBy scanned skipped errorCode errorMessage summary { events same different new notRun failed recovered promotable
  storedReviews expiredReviews medianDurationMs baseMedianDurationMs costs { amount currency } baseCosts { amount currency } }`;
const oneTrial = `query Trial($id: ID!) { trial(id: $id) { ${trialFields} } }`;
const someTrials = `query Trials { trials(first: 20) { nodes { ${trialFields} actor askedAt } } }`;
const tryFlow = `mutation Try($input: TryFlowInput!) { trial: tryFlow(input: $input) { __typename ... on TryFlowSuccess { trialId } ${refusals} } }`;
const startBacktest = `mutation Backtest($input: StartBacktestInput!) {
  trial: startBacktest(input: $input) { __typename ... on StartBacktestSuccess { trialId } ${refusals} } }`;
const cancelTrial = `mutation Cancel($input: CancelTrialInput!) {
  trial: cancelTrial(input: $input) { __typename ... on CancelTrialSuccess { trial { ${trialFields} } } ${refusals} } }`;
const obstacles = `query Obstacles($trial: ID!, $first: Int, $after: String) {
  page: trialOutcomes(trial: $trial, first: $first, after: $after) { nodes { eventId change obstacleMessage } pageInfo { hasNextPage endCursor } } }`;
const promoteTrial = `mutation Promote($input: PromoteTrialInput!) {
  trial: promoteTrial(input: $input) { __typename ... on PromoteTrialSuccess { matched { value } storedReviews operationId } ${refusals} } }`;
const estimateOne = `query Estimate($flow: String, $trial: ID, $from: DateTime!, $before: DateTime!) {
  estimateCost(flow: $flow, trial: $trial, from: $from, before: $before) {
    flow sampleEvents sampleRuns unpricedCalls windowEvents { value exact } estimatedRuns costs { amount currency } } }`;
const outcomeFields = `eventId change isMatch decision deliveries { step destination payload } differences { path before after } differenceCount errorCode errorMessage
  durationMs baseDurationMs baseRun { id } costs { amount currency } storedReviews expiredReviews`;
const outcomes = `query Outcomes($trial: ID!, $filter: TrialOutcomeFilter, $after: String) { trialOutcomes(trial: $trial, first: 50, filter: $filter, after: $after) {
  nodes { ${outcomeFields} } pageInfo { hasNextPage endCursor } } }`;
const outcomeWithSteps = `query Outcome($trial: ID!) { trialOutcomes(trial: $trial, first: 1) {
  nodes { ${outcomeFields} steps { id kind state input output failure { code message } durationMs reviewSource takenReview { id decidedBy } } } } }`;

type Started = { __typename: 'TryFlowSuccess' | 'StartBacktestSuccess'; trialId: string };

const lookEveryMs = 300;
/** A trial that nobody has taken up by then was lost with its command. */
const longestWaitMs = 30_000;

/** `millrace flows try`: a flow on one event, with its steps. Ctrl-C cancels it. @throws CliFailure if the flow fails */
export async function tryOnEvent(connection: Connection, files: readonly string[], options: TryOptions, watched: Watched): Promise<void> {
  const chosen = flowOf(files, options);
  const input = {
    flow: chosen.flow,
    event: eventOf(options),
    step: options.step,
    outputs: outputsOf(options),
    idempotencyKey: randomUUID(),
  };
  const { trial } = await ask<{ trial: Started | Refusal }>(connection, tryFlow, { input });
  const { trialId } = accepted(connection, trial, chosen.lineOf);
  const ended = await follow(connection, trialId, watched, { cancelsOnStop: true });
  if (ended === undefined) return;
  const { trialOutcomes } = await ask<{ trialOutcomes: { nodes: Outcome[] } }>(connection, outcomeWithSteps, { trial: trialId });
  const [outcome] = trialOutcomes.nodes;
  if (outcome === undefined) throw new CliFailure(`${trialId} ended without a result: ${ended.stoppedBy ?? ended.state}`, 'refused');
  watched.output.result({ trialId, ...outcome }, textOf(outcome, options.step));
  if (outcome.errorCode !== null) throw new CliFailure(`The flow fails: ${outcome.errorCode}: ${outcome.errorMessage}`, 'refused');
}

/** `millrace flows backtest`: a flow on events that came. @throws CliFailure if it does not complete or, on demand, decides anything otherwise */
export async function backtest(
  connection: Connection,
  files: readonly string[],
  options: BacktestOptions,
  watched: Watched,
): Promise<void> {
  const { last, customer, source, type, from, before, maxSeconds, expectSame } = options;
  const chosen = flowOf(files, options);
  const filter = { customer, sources: source, type, receivedFrom: from, receivedBefore: before };
  const input = {
    flow: chosen.flow,
    filter,
    last,
    maxSeconds,
    maxCost: costOf(options.maxCost),
    outputs: outputsOf(options),
    idempotencyKey: randomUUID(),
  };
  const { trial } = await ask<{ trial: Started | Refusal }>(connection, startBacktest, { input });
  const { trialId } = accepted(connection, trial, chosen.lineOf);
  watched.output.result({ trialId }, trialId);
  watched.output.note(`millrace flows cancel ${trialId} stops it.`);
  const ended = await follow(connection, trialId, watched, { cancelsOnStop: false });
  if (ended === undefined) return;
  for (const change of ['DIFFERENT', 'NOT_RUN', 'FAILED', 'RECOVERED']) await printOutcomes(connection, trialId, change, watched.output);
  watched.output.note(summaryOf(ended));
  const { same, events } = ended.summary;
  if (expectSame && events === 0)
    throw new CliFailure(`Nothing was compared: the flow runs on none of ${counted(ended.scanned, 'event')} looked at`, 'refused');
  if (expectSame && same < events) throw new CliFailure(`${events - same} of ${counted(events, 'event')} not decided as before`, 'refused');
}

/** `millrace flows promote`: makes the outcomes of a trial count. */
export async function promote(
  connection: Connection,
  id: string,
  { all, rate, dryRun }: { all: boolean; rate: number; dryRun: boolean },
  output: Output,
): Promise<void> {
  type Promoted = { __typename: 'PromoteTrialSuccess'; matched: { value: number }; storedReviews: number; operationId: string | null };
  const input = { id, onlyChanged: !all, ratePerSecond: rate, dryRun, idempotencyKey: randomUUID() };
  const { trial } = await ask<{ trial: Promoted | Refusal }>(connection, promoteTrial, { input });
  const { matched, storedReviews, operationId } = accepted(connection, trial);
  type LeftOut = { eventId: string; change: string; obstacleMessage: string | null };
  await askPages<LeftOut>(connection, obstacles, { trial: id }, Infinity, ({ eventId, change, obstacleMessage }) => {
    if (obstacleMessage !== null && (all || change !== 'SAME')) output.note(`${eventId} is left out: ${obstacleMessage}`);
  });
  if (storedReviews > 0)
    output.note(
      `${counted(storedReviews, 'decision')} of people ${storedReviews === 1 ? 'stands' : 'stand'} as made in the stored runs; only what nobody has decided there is asked.`,
    );
  if (operationId === null) return output.result({ matched, storedReviews }, `${counted(matched.value, 'outcome')} would be promoted.`);
  output.result({ operationId, matched, storedReviews }, operationId);
  output.note(`${counted(matched.value, 'outcome')} will be promoted; millrace operations cancel ${operationId} stops it.`);
}

interface Estimate {
  flow: string;
  sampleEvents: number;
  sampleRuns: number;
  unpricedCalls: number | null;
  windowEvents: { value: number; exact: boolean };
  estimatedRuns: number;
  costs: Cost[];
}

/** A model of which calls have no price. */
interface UnpricedModel {
  provider: string | null;
  model: string;
  calls: number;
}

/** `millrace flows cost`: what the models of a flow would cost for the events of a window. */
export async function estimate(
  connection: Connection,
  given: { flow?: string; trial?: string; from: string; before: string },
  output: Output,
): Promise<void> {
  const { estimateCost } = await ask<{ estimateCost: Estimate }>(connection, estimateOne, given);
  const { flow, sampleEvents, sampleRuns, unpricedCalls, windowEvents, estimatedRuns, costs } = estimateCost;
  const unpricedModels = unpricedCalls === 0 ? [] : await unpricedIn(connection, flow);
  const known = costs.length === 0 ? [] : [amountsOf(costs)];
  const isUnknown = sampleEvents === 0 || (unpricedCalls === null ? known.length === 0 && unpricedModels.length > 0 : unpricedCalls > 0);
  const amounts = isUnknown ? [...known, 'an unknown amount'].join(' and ') : amountsOf(costs);
  const events = `${windowEvents.exact ? '' : 'at least '}${counted(windowEvents.value, 'event')}`;
  output.result(
    { ...estimateCost, unpricedModels },
    [
      `${amounts} for ${counted(estimatedRuns, 'run')} on ${events}, from ${counted(sampleRuns, 'run')} on ${counted(sampleEvents, 'event')}`,
      ...(unpricedCalls === null || unpricedCalls === 0
        ? []
        : [`${counted(unpricedCalls, 'call')} of these runs not counted: no price was known for the models`]),
      ...unpricedModels.map(remedyFor),
    ].join('\n'),
  );
}

const unpriced = `query Unpriced($flow: String!, $from: String!) {
  modelSpend(flow: $flow, from: $from, by: [MODEL]) { provider model calls cost { amount } } }`;
/** How far back models without a price are looked for, ms. */
const unpricedWithinMs = 90 * 86_400_000;

async function unpricedIn(connection: Connection, flow: string): Promise<UnpricedModel[]> {
  const from = new Date(wallTimeMs() - unpricedWithinMs).toISOString().slice(0, 10);
  const { modelSpend } = await ask<{ modelSpend: (UnpricedModel & { cost: object | null })[] }>(connection, unpriced, { flow, from });
  return modelSpend.flatMap(({ cost, ...line }) => (cost === null ? [line] : []));
}

function remedyFor({ provider, model, calls }: UnpricedModel): string {
  const price = `models: { ${JSON.stringify(model)}: { price: { input: …, output: … } } }, for a million tokens`;
  return provider === null
    ? `The price of ${model} is unknown (${counted(calls, 'call')} in 90 days): the provider of the installation has none. Ask it by a ModelProvider document with ${price}`
    : `The price of ${model} is unknown (${counted(calls, 'call')} in 90 days): give the ModelProvider ${provider} spec.currency and spec.${price}`;
}

/** `millrace flows trials`: the newest twenty. */
export async function trials(connection: Connection, output: Output): Promise<void> {
  type Listed = Trial & { actor: string; askedAt: string };
  for (const trial of (await ask<{ trials: { nodes: Listed[] } }>(connection, someTrials)).trials.nodes)
    output.result(trial, `${trial.askedAt}  ${trial.id}  ${nameOf(trial)}  ${progressOf(trial)}  by ${trial.actor}`);
}

/** `millrace flows cancel`: ends a trial. */
export async function cancelOne(connection: Connection, id: string, output: Output): Promise<void> {
  type Cancelled = { __typename: 'CancelTrialSuccess'; trial: Trial };
  const { trial } = await ask<{ trial: Cancelled | Refusal }>(connection, cancelTrial, { input: { id, idempotencyKey: randomUUID() } });
  const { state } = accepted(connection, trial).trial;
  output.result({ id, state }, state === 'RUNNING' ? `${id} is being cancelled.` : `${id} is ${state}: there is nothing left to cancel.`);
}

/** The flow of the files, or one that was applied. @throws CliFailure */
function flowOf(
  files: readonly string[],
  { flow: name, flowVersion: version }: ChosenFlow,
): { flow: object; lineOf?: (violation: { path: string[]; message: string }) => string } {
  if (files.length === 0) {
    if (name === undefined) throw new CliFailure('Give files with the flow, or name one that was applied by --flow', 'unusable');
    return { flow: { applied: { name, version } } };
  }
  if (version !== undefined) throw new CliFailure('--flow-version goes with a flow that was applied, not with files', 'unusable');
  const flows = readDocuments(files).filter(({ value }) => headOf(value).kind === 'Flow');
  const found = name === undefined ? flows : flows.filter(({ value }) => headOf(value).metadata?.name === name);
  if (found.length !== 1) {
    const names = flows.map(({ value }) => headOf(value).metadata?.name).join(', ');
    throw new CliFailure(
      flows.length === 0 ? `There is no Flow in ${files.join(', ')}` : `Name one of the flows by --flow: ${names}`,
      'unusable',
    );
  }
  const file: FileDocument = found[0]!;
  const lineOf = ({ path, message }: { path: string[]; message: string }): string =>
    path[1] === 'flow' && path[2] === 'document'
      ? `${file.positionOf(path.slice(3))} ${path.slice(3).join('.')}: ${message}`
      : `${path.slice(1).join('.')}: ${message}`;
  return { flow: { document: file.value }, lineOf };
}

function headOf(value: unknown): { kind?: string; metadata?: { name?: string } } {
  return typeof value === 'object' && value !== null ? value : {};
}

/** @throws CliFailure */
function eventOf({ event, data, type, source, customer }: TryOptions): object {
  if (event !== undefined && data === undefined) return { id: event };
  if (event !== undefined || data === undefined)
    throw new CliFailure('Give an event of the tenant by --event, or one that never came by --data', 'unusable');
  if (type === undefined || source === undefined) throw new CliFailure('An event that never came needs --type and --source', 'unusable');
  return { sample: { type, source, customer: customer ?? 'sample', data: jsonOf('--data', data) } };
}

function outputsOf({ outputs: text }: ChosenFlow): Json | undefined {
  return text === undefined ? undefined : jsonOf('--outputs', text);
}

/** @throws CliFailure */
function jsonOf(option: string, text: string): Json {
  try {
    return parseJson(text);
  } catch (error) {
    throw new CliFailure(`${option} is no JSON: ${(error as Error).message}`, 'unusable');
  }
}

/** @throws CliFailure */
function costOf(text: string | undefined): Cost | undefined {
  if (text === undefined) return undefined;
  const [, amount, currency] = /^([\d.]+) ?([A-Z]{3})$/.exec(text) ?? [];
  if (amount === undefined || currency === undefined)
    throw new CliFailure('--max-cost is an amount and a currency, such as 2.50USD', 'unusable');
  return { amount, currency };
}

/**
 * Notes each change until the trial has ended. Undefined if the waiting was stopped.
 * @throws CliFailure if it did not complete
 */
async function follow(
  connection: Connection,
  id: string,
  { output, signal }: Watched,
  { cancelsOnStop }: { cancelsOnStop: boolean },
): Promise<Trial | undefined> {
  const begunAt = performance.now();
  for (let told = ''; ;) {
    const { trial } = await ask<{ trial: Trial | null }>(connection, oneTrial, { id });
    if (trial === null && performance.now() - begunAt > longestWaitMs)
      throw new CliFailure(`${id} was not taken up within ${longestWaitMs / 1_000} s; ask again`, 'unusable');
    if (trial !== null && trial.state !== 'RUNNING') {
      if (trial.state === 'COMPLETED') return trial;
      throw new CliFailure(
        `${id} ${trial.state}${trial.errorCode === null ? '' : `: ${trial.errorCode}: ${trial.errorMessage}`}`,
        'refused',
      );
    }
    const line = trial === null ? '' : progressOf(trial);
    if (line !== told && trial !== null && trial.summary.events > 0) output.note(line);
    told = line;
    await sleep(lookEveryMs, signal).catch(() => undefined);
    if (!signal.aborted) continue;
    if (cancelsOnStop) await cancelOne(connection, id, output);
    else output.note(`${id} goes on.`);
    return undefined;
  }
}

function nameOf({ flow, flowVersion }: Trial): string {
  return flowVersion === null ? `${flow} (not applied)` : `${flow} ${flowVersion}`;
}

function progressOf({ state, summary: { events, same } }: Trial): string {
  return `${state}  ${counted(events, 'event')}, ${same} the same`;
}

async function printOutcomes(connection: Connection, trial: string, change: string, output: Output): Promise<void> {
  for (let after: string | null = null; ;) {
    type Page = { trialOutcomes: { nodes: Outcome[]; pageInfo: { hasNextPage: boolean; endCursor: string } } };
    const page: Page = await ask<Page>(connection, outcomes, { trial, filter: { changes: [change] }, after });
    for (const outcome of page.trialOutcomes.nodes)
      output.result(
        outcome,
        [`${outcome.eventId}  ${change}`, ...reviewsOf(outcome).map((line) => `  ${line}`), ...linesOf(outcome)].join('\n'),
      );
    if (!page.trialOutcomes.pageInfo.hasNextPage) return;
    after = page.trialOutcomes.pageInfo.endCursor;
  }
}

function linesOf({ differences, differenceCount, errorCode, errorMessage }: Outcome): string[] {
  const more = differenceCount - differences.length;
  return [
    ...(errorCode === null ? [] : [`  ${errorCode}: ${errorMessage}`]),
    ...differences.map(({ path, before, after }) => `  ${path}: ${JSON.stringify(before)} → ${JSON.stringify(after)}`),
    ...(more > 0 ? [`  … and ${more} more`] : []),
  ];
}

/** Tells in a line what came of the reviews of a trial; in none if it had no reviews. */
function reviewsOf({ storedReviews, expiredReviews }: Pick<Outcome, 'storedReviews' | 'expiredReviews'>): string[] {
  if (storedReviews + expiredReviews === 0) return [];
  const expired = expiredReviews === 0 ? '' : ', because no person has decided the same question';
  return [`reviews: ${storedReviews} as people decided in the stored runs, ${expiredReviews} expired${expired}`];
}

function textOf(outcome: Outcome, only: string | undefined): string {
  const { steps, decision, deliveries, baseRun, errorCode, isMatch, costs } = outcome;
  const told = (steps ?? []).flatMap(({ id, kind, state, input, output, failure, durationMs, reviewSource, takenReview }) => [
    `${id}  ${kind.toLowerCase()}  ${state.toLowerCase()}  ${durationMs} ms`,
    ...(input === null ? [] : [`  asked ${JSON.stringify(input)}`]),
    failure === null || state === 'SUCCEEDED' ? `  ${JSON.stringify(output)}` : `  ${failure.code}: ${failure.message}`,
    ...(reviewSource === null
      ? []
      : [`  ${reviewSources[reviewSource]}${takenReview === null ? '' : `: ${takenReview.decidedBy}, ${takenReview.id}`}`]),
  ]);
  return [
    ...(isMatch ? [] : ['The flow would not run on this event.']),
    ...told,
    ...(errorCode === null ? [`${only === undefined ? 'decision' : `result of ${only}`}  ${JSON.stringify(decision)}`] : []),
    ...deliveries.map(({ step, destination, payload }) => `would deliver  ${step} to ${destination}  ${JSON.stringify(payload)}`),
    ...(costs.length === 0 ? [] : [`costs  ${amountsOf(costs)}`]),
    comparisonOf(outcome, only),
    ...(baseRun === null ? [] : linesOf({ ...outcome, errorCode: null })),
  ].join('\n');
}

/** How the outcome differs from what is stored, in words. */
function comparisonOf({ baseRun, change }: Outcome, step: string | undefined): string {
  if (baseRun === null) return `${change}: no run of the flow on this event has ended, so there is nothing to compare with`;
  if (change === 'NEW') return `${change}: ${baseRun.id} has no result of ${step ?? 'the flow'}, so there is nothing to compare with`;
  return `compared with ${baseRun.id}  ${change}: ${changes[change]}`;
}

/** @param none what is said where there is none: calls of models without a price cost something that nobody knows */
function amountsOf(costs: readonly Cost[], none = 'nothing'): string {
  return costs.length === 0 ? none : costs.map(({ amount, currency }) => `${amount} ${currency}`).join(' + ');
}

function summaryOf({ scanned, skipped, stoppedBy, summary }: Trial): string {
  const { events, same, different, failed, recovered, notRun, medianDurationMs, baseMedianDurationMs, costs, baseCosts } = summary;
  return [
    `${counted(events, 'event')} of ${scanned} (${skipped} that the flow does not run on): ${same} the same, ${different} different, ${summary.new} new, ${notRun} not run, ${failed} failed, ${recovered} recovered`,
    `median ${Math.round(medianDurationMs ?? 0)} ms, before ${Math.round(baseMedianDurationMs ?? 0)} ms; costs ${amountsOf(costs, 'no known amount')}, before ${amountsOf(baseCosts, 'no known amount')}`,
    ...reviewsOf(summary),
    ...(stoppedBy === null ? [] : [`It stopped before its last event: ${stoppedBy}, ${stopReasons[stoppedBy]}`]),
  ].join('\n');
}
