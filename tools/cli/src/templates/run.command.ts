import { randomUUID } from 'node:crypto';
import { mkdtempSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { parseJson } from '#libs/json';
import type { Json } from '#libs/json';
import { sleep, wallTimeMs } from '#libs/time';
import { apply } from '../apply.command.js';
import type { Connection, OneProcessForm } from '../connection.js';
import { readDocuments } from '../document.files.js';
import { CliFailure } from '../failure.js';
import { differences } from '../flow-tests/difference.js';
import { ask } from '../graphql.client.js';
import { Output } from '../output.js';
import { accepted, refusals } from '../refusal.js';
import type { Refusal } from '../refusal.js';
import { fire } from '../schedules.command.js';
import { sendOne } from '../send.command.js';
import { SampleSystemsClient } from './sample-systems.client.js';
import type { SampleSystemsAccess } from './sample-systems.client.js';
import { filesOf } from './template.files.js';
import type { TemplateValues } from './template.files.js';
import { templateAt } from './template.js';
import type { FlowTemplate, TemplateSample } from './template.js';
import { Table } from './table.js';

/** The parts of the process that a run needs. */
export interface RunSurroundings {
  readonly query: Connection;
  readonly events: Connection;
  /** Undefined: there is none here. */
  readonly form: OneProcessForm | undefined;
  readonly tenant: string;
  readonly directory: string;
  readonly output: Output;
  /** The width of the terminal in characters. */
  readonly width: number;
  readonly signal: AbortSignal;
}

interface Run {
  readonly flow: string;
  readonly flowVersion: number;
  readonly state: string;
  readonly decision: Json;
  readonly errorCode: string | null;
  readonly errorMessage: string | null;
}

interface Progress {
  readonly state: string;
  readonly runs: readonly Run[];
  readonly reviews: readonly { readonly id: string; readonly state: string }[];
  readonly deliveries: readonly { readonly destination: string; readonly state: string; readonly errorMessage: string | null }[];
}

const decisions = { approved: 'approveReview', rejected: 'rejectReview' } as const;
const settleWithinMs = 60_000;
/** Processes read documents by themselves, a moment after they were applied. */
const inEffectWithinMs = 15_000;
const recordedWithinMs = 5_000;
const pauseMs = 100;

/**
 * `millrace templates run`: applies the documents of a template, sends its sample events one after the other, and prints the decision on each and its
 * effects in the sample systems. Documents of a template that Millrace brings along never replace others.
 * @param name the name of a template, or a folder with a copy
 * @throws CliFailure if something is not as the template says
 */
export async function runTemplate(name: string, around: RunSurroundings): Promise<void> {
  const template = templateAt(name, around.directory);
  const values = valuesOf(around);
  const { output, query, signal } = around;
  const systems = new SampleSystemsClient(values.systems);
  output.note(`${template.title}\n${template.summary}\n`);
  try {
    const shown = relative(around.directory, template.folder) || '.';
    const versions = await withFiles(template, { values, shown }, async (folder, shownIn) => {
      const files = [join(folder, 'documents')];
      if (!template.isOwn) await requireUntouched(query, files, template.name);
      await systems.prepare(template.systems);
      await apply(
        query,
        { files, dryRun: false, prune: false },
        new Output({ print: () => undefined, note: (text) => output.note(shownIn(text)), write: () => undefined }, false),
      );
      return flowVersions(query, files);
    });
    await runSamples(template, { versions, systems, around });
  } catch (error) {
    throw signal.aborted ? new CliFailure('Ended before all samples were sent.', 'unusable') : error;
  }
}

/** @throws CliFailure if there are no sample systems */
function valuesOf({ form, tenant, query }: RunSurroundings): TemplateValues & { systems: SampleSystemsAccess } {
  if (form?.systems !== undefined && form.url === query.url) return { tenant, systems: form.systems };
  throw new CliFailure(
    `Templates run on the sample systems of the one-process form, and ${query.url} has none that are known here. Start it with npm start, and run this in the same folder; elsewhere, take a template as your own: millrace init NAME`,
    'unusable',
  );
}

async function runSamples(
  template: FlowTemplate,
  { versions, systems, around }: { versions: ReadonlyMap<string, number>; systems: SampleSystemsClient; around: RunSurroundings },
): Promise<void> {
  const { output, width } = around;
  output.note('');
  const table = new Table(['sample', 'decision', 'effect'], width);
  const wrong: string[] = [];
  let lastEvent = '';
  for (const sample of template.samples) {
    const { eventId, progress } = await settled(template, sample, versions, around);
    lastEvent = eventId;
    const effects = await systems.effects();
    const run = progress?.runs.find(({ flow }) => versions.has(flow));
    const problems = [...problemsOf(progress, run), ...deviations(sample, run, effects)];
    wrong.push(...problems.map((problem) => `✗ ${sample.what}: ${problem}`));
    const row = { sample: sample.what, eventId, decision: run?.decision ?? null, effects, problems };
    const cells = [sample.what, run === undefined ? '–' : textOf(run.decision), effects.length === 0 ? '–' : effects.join('\n')];
    output.result(row, table.row(cells));
  }
  output.note(
    `\nWhat the sample systems have: ${systems.url}/\nOne event’s story:            npm run -s millrace -- events get ${lastEvent}`,
  );
  if (wrong.length > 0) throw new CliFailure(`\n${wrong.join('\n')}`, 'refused');
}

/** Writes the files with their values filled in, as long as the work needs them. */
/**
 * Does work with the files of a template in which its values stand. They lie in a folder that goes away, so messages name the template's own.
 * @param work.shownIn puts the template's folder in the place of that one
 */
async function withFiles<T>(
  template: FlowTemplate,
  { values, shown }: { values: TemplateValues; shown: string },
  work: (folder: string, shownIn: (text: string) => string) => Promise<T>,
): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-template-'));
  const shownIn = (text: string): string => text.replaceAll(folder, shown);
  try {
    for (const [path, text] of filesOf(template, values)) {
      mkdirSync(join(folder, dirname(path)), { recursive: true });
      writeFileSync(join(folder, path), text, { mode: 0o600 });
    }
    return await work(folder, shownIn);
  } catch (error) {
    throw error instanceof CliFailure ? new CliFailure(shownIn(error.message), error.kind, error.code) : error;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** @throws CliFailure if the tenant has one of the documents already, but not as the template has it */
async function requireUntouched(query: Connection, files: readonly string[], name: string): Promise<void> {
  const touched: string[] = [];
  const planned = new Output(
    {
      print: (line) => void (/"change":"CHANGED"/.test(line) && touched.push(changedIn(line))),
      note: () => undefined,
      write: () => undefined,
    },
    true,
  );
  await apply(query, { files, dryRun: true, prune: false }, planned);
  if (touched.length === 0) return;
  throw new CliFailure(
    `The tenant has ${touched.join(' and ')} already, and not as the template has it: nothing was changed. Take the template as your own, change what you like, and run that: npm run -s millrace -- init ${name}`,
    'refused',
  );
}

function changedIn(line: string): string {
  const { kind, name } = parseJson(line) as { kind: string; name: string };
  return `the ${kind} ${name}`;
}

/** The versions of the flows of the files, by their names. */
async function flowVersions(query: Connection, files: readonly string[]): Promise<Map<string, number>> {
  const names = readDocuments(files)
    .map(({ value }) => value as { kind: string; metadata: { name: string } })
    .filter(({ kind }) => kind === 'Flow')
    .map(({ metadata }) => metadata.name);
  const { documents } = await ask<{ documents: { name: string; version: number }[] }>(query, '{ documents(kind: Flow) { name version } }');
  return new Map(documents.filter(({ name }) => names.includes(name)).map(({ name, version }) => [name, version]));
}

/** Sends a sample until the flow in its current version has run on it, and waits until nothing of it is left to do. */
async function settled(
  template: FlowTemplate,
  sample: TemplateSample,
  versions: ReadonlyMap<string, number>,
  around: RunSurroundings,
): Promise<{ eventId: string; progress: Progress | undefined }> {
  const until = performance.now() + inEffectWithinMs;
  for (;;) {
    const eventId = await sent(template, sample, until, around);
    const progress = await followed(eventId, sample, around);
    const isCurrent = progress?.runs.some(({ flow, flowVersion }) => flowVersion >= (versions.get(flow) ?? Infinity));
    if (isCurrent === true || performance.now() > until) return { eventId, progress };
  }
}

async function sent(
  { folder }: FlowTemplate,
  { event, schedule }: TemplateSample,
  until: number,
  { query, events, signal }: RunSurroundings,
): Promise<string> {
  if (schedule !== undefined) return fire(query, schedule);
  const text = readFileSync(join(folder, event!), 'utf8');
  const fresh = { ...(parseJson(text) as { id: string }) };
  fresh.id = `${fresh.id}-${wallTimeMs()}-${randomUUID().slice(0, 8)}`; // the same id would be the same event
  for (;;) {
    try {
      return await sendOne(events, JSON.stringify(fresh));
    } catch (error) {
      const isEarly = error instanceof CliFailure && error.code === 'source.unknown' && performance.now() < until;
      if (!isEarly) throw error;
      await sleep(pauseMs, signal);
    }
  }
}

const progressOf = `query Progress($id: ID!) { event(id: $id) {
  state runs { flow flowVersion state decision errorCode errorMessage } deliveries { destination state errorMessage } reviews { id state } } }`;

/** Waits until nothing of the event is left to do. @returns undefined if there is no such event: its schedule was not known yet */
async function followed(eventId: string, { review }: TemplateSample, { query, signal }: RunSurroundings): Promise<Progress | undefined> {
  const startedAt = performance.now();
  for (;;) {
    const event = await progressNow(query, eventId);
    if (review !== undefined) await decide(query, review, event?.reviews ?? []);
    const waits = review === undefined && event?.runs.some(({ state }) => state === 'WAITING') === true;
    const isOver = event !== null && (['COMPLETED', 'PARKED'].includes(event.state) || waits);
    if (isOver) return (await progressNow(query, eventId))!; // its fields are read one after the other, and some were older
    const waitedMs = performance.now() - startedAt;
    if (event === null && waitedMs > recordedWithinMs) return undefined;
    if (waitedMs > settleWithinMs) {
      throw new CliFailure(
        `Nothing came of the event within ${settleWithinMs / 1_000} s. Does an earlier failure hold its customer? See npm run -s millrace -- dead-letters, and events get ${eventId}`,
        'refused',
      );
    }
    await sleep(pauseMs, signal);
  }
}

/** Decides what is open, as a person would. */
async function decide(query: Connection, review: NonNullable<TemplateSample['review']>, reviews: Progress['reviews']): Promise<void> {
  const [name, more] = typeof review === 'string' ? [decisions[review], {}] : ['correctReview', { value: review.corrected }];
  const type = `${name[0]!.toUpperCase()}${name.slice(1)}`;
  for (const { id } of reviews.filter(({ state }) => state === 'PENDING')) {
    const input = { id, reviewer: 'templates run', reason: 'as the template says', idempotencyKey: id, ...more };
    const mutation = `mutation ($input: ${type}Input!) { decided: ${name}(input: $input) { __typename ${refusals} } }`;
    accepted(query, (await ask<{ decided: { __typename: string } | Refusal }>(query, mutation, { input })).decided);
  }
}

async function progressNow(query: Connection, id: string): Promise<Progress | null> {
  return (await ask<{ event: Progress | null }>(query, progressOf, { id })).event;
}

/** The failures of a run and of its deliveries, as sentences. */
function problemsOf(progress: Progress | undefined, run: Run | undefined): string[] {
  const ofRun = run === undefined ? ['no flow of the template ran on it'] : [];
  const failed = run?.errorCode == null ? [] : [`the run failed: ${run.errorCode}: ${run.errorMessage}`];
  const waits = run?.state === 'WAITING' ? ['its run waits, see npm run -s millrace -- events get'] : [];
  const undelivered = (progress?.deliveries ?? []).filter(({ state }) => state !== 'DELIVERED');
  return [
    ...ofRun,
    ...failed,
    ...waits,
    ...undelivered.map(({ destination, errorMessage }) => `not delivered to ${destination}: ${errorMessage}`),
  ];
}

/** The decision and the effects that the template does not say. */
function deviations({ decision, effects: expected }: TemplateSample, run: Run | undefined, effects: readonly string[]): string[] {
  if (run === undefined || run.errorCode !== null) return [];
  const ofDecision = differences('decision', decision, run.decision).map(
    ({ path, expected: one, found }) => `${path} is ${JSON.stringify(found)}, and the template says ${JSON.stringify(one)}`,
  );
  const left = [...effects];
  const missing = expected.filter((pattern) => {
    const at = left.findIndex((effect) => fits(pattern, effect));
    if (at >= 0) left.splice(at, 1);
    return at < 0;
  });
  return [
    ...ofDecision,
    ...missing.map((effect) => `the effect is missing that the template says: ${effect}`),
    ...left.map((effect) => `the template does not say this effect: ${effect}`),
  ];
}

/** `*` stands for any text. */
function fits(pattern: string, text: string): boolean {
  const parts = pattern.split('*').map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`));
  return new RegExp(`^${parts.join('.*')}$`, 's').test(text);
}

const longestValue = 60;

/** A decision in few words. */
function textOf(value: Json): string {
  if (Array.isArray(value)) return value.length === 0 ? 'none' : value.map(textOf).join('; ');
  if (typeof value !== 'object' || value === null) {
    const text = String(value).replaceAll(/\s+/g, ' ');
    return text.length <= longestValue ? text : `${text.slice(0, longestValue - 1)}…`;
  }
  return Object.entries(value)
    .map(([name, part]) => `${name} ${textOf(part as Json)}`)
    .join(', ');
}
