import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { elementTexts } from '#libs/json';
import type { Connection } from './connection.js';
import { CliFailure } from './failure.js';
import { post } from './graphql.client.js';
import type { Output } from './output.js';
import { failureOf } from './refusal.js';
import { utf8In } from './utf8.js';

/** The options of `millrace events send`: a file, or one event by its parts. */
export interface SendOptions {
  file?: string;
  source?: string;
  type?: string;
  customer?: string;
  id?: string;
  data?: string;
}

/** Sends one CloudEvent, and resolves with the id of the event. @throws CliFailure */
export async function sendOne(connection: Connection, text: string): Promise<string> {
  const [eventId] = await sendBatch(connection, [text], (_event, field) => field);
  return eventId!;
}

/** The texts of CloudEvents, and how a refusal names one of them and its field. */
interface Sending {
  texts: string[];
  nameOf: (event: number, field: string) => string;
}

/**
 * `millrace events send`: sends CloudEvents in batches and prints the id of each. An event that is sent again is the same event, so after a failure
 * everything can be sent again.
 */
export async function send(
  connection: Connection,
  options: SendOptions,
  { output, readInput }: { output: Output; readInput: () => Promise<Buffer> },
): Promise<void> {
  const { texts, nameOf } = options.file === undefined ? oneOf(options) : await eventsOf(options, readInput);
  const batches = batchesOf(texts);
  for (let sent = 0; batches.length > 0;) {
    const batch = batches.shift()!;
    const answer = await sendBatch(connection, batch, (event, field) => nameOf(sent + event, field)).catch((error: unknown) => {
      throw withProgress(error, sent, texts.length);
    });
    if (answer === 'too large') {
      batches.unshift(...halves(batch));
      continue;
    }
    for (const eventId of answer) output.result({ eventId }, eventId);
    sent += batch.length;
  }
}

/** @throws CliFailure if parts are missing, or stand beside a file */
function oneOf({ source, type, customer, id, data }: SendOptions): Sending {
  if (source === undefined || type === undefined) {
    throw new CliFailure('Give --file with CloudEvents (- for standard input), or one event by --source and --type', 'unusable');
  }
  const head = JSON.stringify({ specversion: '1.0', id: id ?? randomUUID(), source, type, subject: customer });
  if (data === undefined) return { texts: [head], nameOf: (_event, field) => partOptions[field] ?? field };
  if (!isJson(data)) throw new CliFailure(`--data must be JSON, such as '{"total":5}'; text is JSON in quotes: '"text"'`, 'unusable');
  return { texts: [`${head.slice(0, -1)},"data":${data}}`], nameOf: (_event, field) => partOptions[field] ?? field };
}

const partOptions: Record<string, string> = { source: '--source', type: '--type', subject: '--customer', id: '--id', data: '--data' };

async function eventsOf({ file, ...parts }: SendOptions, readInput: () => Promise<Buffer>): Promise<Sending> {
  const beside = Object.entries(parts).flatMap(([option, value]) => (value === undefined ? [] : `--${option}`));
  if (beside.length > 0) throw new CliFailure(`${beside.join(', ')} stands for one event, and not beside --file`, 'unusable');
  const name = file === '-' ? 'standard input' : file!;
  const text = utf8In(file === '-' ? await readInput() : readFile(name), name).replace(/^\uFEFF/, '');
  return { texts: eventTexts(text, name), nameOf: (event, field) => `${name}, event ${event + 1}, ${field}` };
}

function readFile(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new CliFailure(`${path} cannot be read: ${(error as Error).message}`, 'unusable');
  }
}

/** The events of a list, of JSON Lines, or one alone, each as it was written: numbers keep their digits. */
function eventTexts(text: string, name: string): string[] {
  if (text.trim() === '') throw new CliFailure(`There is no event in ${name}`, 'unusable');
  if (isJson(text)) return text.trimStart().startsWith('[') ? elementTexts(text) : [text];
  const lines = text.split('\n').map((line, at) => ({ line: line.trim(), at: at + 1 }));
  const wrong = lines.find(({ line }) => line !== '' && !isJson(line));
  if (wrong === undefined) return lines.flatMap(({ line }) => (line === '' ? [] : [line]));
  throw new CliFailure(`${name} is no JSON (one event, or a list of them), and as JSON Lines it is none in line ${wrong.at}`, 'unusable');
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** Below what the events API takes in its standard settings: `INTAKE_MAX_BATCH_EVENTS` and the limit of a body. */
const maxEvents = 100;
const maxBytes = 512 * 1_024;

function batchesOf(texts: readonly string[]): string[][] {
  const batches: string[][] = [];
  let bytes = 0;
  for (const text of texts) {
    const size = Buffer.byteLength(text);
    const last = batches.at(-1);
    if (last === undefined || last.length === maxEvents || bytes + size > maxBytes) {
      batches.push([text]);
      bytes = size;
    } else {
      last.push(text);
      bytes += size;
    }
  }
  return batches;
}

function halves(batch: readonly string[]): string[][] {
  const middle = Math.ceil(batch.length / 2);
  return [batch.slice(0, middle), batch.slice(middle)];
}

interface ProblemAnswer {
  code?: string;
  detail?: string;
  field?: string;
}

/** The ids of the events; `too large` if fewer events may be acceptable. */
async function sendBatch(connection: Connection, batch: readonly string[], nameOf: Sending['nameOf']): Promise<string[] | 'too large'> {
  const response = await post(connection, '/v1/events', {
    body: `[${batch.join(',')}]`,
    headers: { 'content-type': 'application/cloudevents-batch+json' },
  });
  const answer = await response.json().catch(() => ({}));
  if (response.status === 202) return (answer as { eventIds: string[] }).eventIds;
  const { code, detail, field } = answer as ProblemAnswer;
  if (code === 'request.tooLarge' && batch.length > 1) return 'too large';
  if (code === undefined || detail === undefined || code === 'request.notFound') {
    throw new CliFailure(
      `${connection.url} answered /v1/events with status ${response.status}: --url must be the address of Millrace, in the distributed form that of ingestion`,
      'unusable',
    );
  }
  if (code === 'credential.invalid') throw new CliFailure(apiKeyNeeded(connection), 'unusable');
  const [, event, name] = /^(\d+)(?:\.(.+))?$/.exec(field ?? '') ?? [];
  if (event === undefined) throw failureOf(connection, { code, message: detail, field });
  throw new CliFailure(
    `${nameOf(Number(event), name ?? 'the event')}: ${detail.slice(field!.length).replace(/^:? /, '')}`,
    'refused',
    code,
  );
}

function apiKeyNeeded({ keyFrom }: Connection): string {
  return `The key from ${keyFrom} is unknown, revoked or expired, or it is the operator’s, which may not send events: use an API key of the tenant, such as from millrace keys create NAME --scope ingest`;
}

function withProgress(error: unknown, sent: number, all: number): unknown {
  if (!(error instanceof CliFailure) || sent === 0) return error;
  const progress = `${sent} of ${all} events were accepted; when all are sent again, these are the same events`;
  return new CliFailure(`${error.message}\n${progress}`, error.kind, error.code);
}
