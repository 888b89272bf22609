import { counted } from './counted.js';
import { isUtf8 } from 'node:buffer';
import { randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { elementTexts, linesOf } from '#libs/json';
import { largestBodyBytes } from '#libs/messaging';
import { parseRetryAfter } from '#libs/retries';
import { sleep, wallTimeMs } from '#libs/time';
import type { Connection } from './connection.js';
import { doorFailure } from './door.failure.js';
import type { ProblemAnswer } from './door.failure.js';
import { CliFailure } from './failure.js';
import { post } from './graphql.client.js';
import type { Output } from './output.js';
import { columnOfNonUtf8, notUtf8, utf8In } from './utf8.js';

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
  const [eventId] = await sendBatch({ connection, wait: undefined }, [text], (_event, field) => field);
  return eventId!;
}

/** The texts of CloudEvents, and how a refusal names one of them and its field. */
interface Sending {
  texts: string[];
  nameOf: (event: number, field: string) => string;
}

/**
 * `millrace events send`: sends CloudEvents and prints the id of each. An event that is sent again is the same event, so after a failure everything can
 * be sent again. Those of one request or list count together; of JSON Lines, each line counts by itself, as soon as it is there, whatever the others are.
 */
export async function send(
  connection: Connection,
  options: SendOptions,
  { output, input, signal }: { output: Output; input: () => AsyncIterable<Buffer>; signal: AbortSignal },
): Promise<void> {
  const wait = async (ms: number, why: string): Promise<void> => {
    output.note(`${why}; waiting ${Math.ceil(ms / 1_000)} s, as Millrace asks`);
    await sleep(ms, signal).catch(() => {
      throw new CliFailure('Interrupted', 'unusable');
    });
  };
  const door: EventsDoor = { connection, wait };
  if (options.file === undefined) return sendAll(door, oneOf(options), output);
  const { file, ...parts } = options;
  const beside = Object.entries(parts).flatMap(([option, value]) => (value === undefined ? [] : `--${option}`));
  if (beside.length > 0) throw new CliFailure(`${beside.join(', ')} stands for one event, and not beside --file`, 'unusable');
  const name = file === '-' ? 'standard input' : file;
  const lines = new LineReader(name, file === '-' ? input() : chunksOf(file));
  if (await lines.areEvents()) return sendLines(door, lines, { name, output });
  const text = await lines.rest();
  const isBlank = text.trim() === '';
  if (!isBlank && !isJson(text)) throw new CliFailure(`${name} is no JSON: one event, a list of them, or one a line`, 'unusable');
  const texts = isBlank || text.trimStart().startsWith('[') ? elementTexts(text) : [text];
  if (texts.length === 0) throw new CliFailure(`There is no event in ${name}`, 'unusable');
  await sendAll(door, { texts, nameOf: (event, field) => `${name}, event ${event + 1}, ${field}` }, output);
}

async function sendAll(door: EventsDoor, { texts, nameOf }: Sending, output: Output): Promise<void> {
  const sending = inBatches(texts, (batch, before) =>
    sendBatch(door, batch, (event, field) => nameOf(before + event, field)).catch((error: unknown) => {
      throw withProgress(error, before, texts.length);
    }),
  );
  for await (const { results } of sending) for (const eventId of results) output.result({ eventId }, eventId);
}

/**
 * Sends texts in batches one after the other, and passes on the results of each. A batch that is too large goes in halves.
 * @param sendSome gets a batch and the number of texts before it
 */
async function* inBatches<Result>(
  texts: readonly string[],
  sendSome: (batch: readonly string[], before: number) => Promise<Result[] | 'too large'>,
): AsyncIterable<{ readonly before: number; readonly results: Result[] }> {
  const batches = batchesOf(texts);
  for (let before = 0; batches.length > 0;) {
    const batch = batches.shift()!;
    const results = await sendSome(batch, before);
    if (results === 'too large') {
      batches.unshift(...halves(batch));
      continue;
    }
    yield { before, results };
    before += batch.length;
  }
}

/** Lines between two notes of how far a sending has come. */
const linesPerNote = 10_000;

/** @throws CliFailure at the end if lines were refused, or when the rest cannot be sent */
async function sendLines(door: EventsDoor, lines: LineReader, { name, output }: { name: string; output: Output }): Promise<void> {
  let [accepted, refused, noted] = [0, 0, 0];
  const progress = (): string => `${counted(accepted, 'event')} accepted${refused === 0 ? '' : `, ${counted(refused, 'line')} refused`}`;
  const tell = (result: LineResult): void => {
    if ('eventId' in result) {
      accepted += 1;
      output.result(result, result.eventId);
    } else {
      refused += 1;
      output.result(result, `${name}, line ${result.line}: ${result.detail}`);
    }
  };
  for await (const some of lines.lines()) {
    const events = some.filter((one) => 'text' in one);
    const unfit = some.filter((one): one is UnfitLine => !('text' in one));
    const tellUnfitBefore = (line: number): void => {
      while (unfit.length > 0 && unfit[0]!.line < line) tell(unfit.shift()!);
    };
    const sending = inBatches(
      events.map(({ text }) => text),
      (batch) =>
        sendLineBatch(door, batch).catch((error: unknown) => {
          if (!(error instanceof CliFailure)) throw error;
          throw new CliFailure(
            `${error.message}\n${progress()}; when all are sent again, these are the same events`,
            error.kind,
            error.code,
          );
        }),
    );
    for await (const { before, results } of sending) {
      for (const result of results) {
        const { line } = events[before + result.line - 1]!;
        tellUnfitBefore(line);
        tell({ ...result, line });
      }
    }
    tellUnfitBefore(Infinity);
    if (accepted + refused - noted < linesPerNote) continue;
    noted = accepted + refused;
    output.note(`${progress()} so far`);
  }
  if (refused > 0) throw new CliFailure(progress(), 'refused');
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

async function* chunksOf(path: string): AsyncIterable<Buffer> {
  try {
    yield* createReadStream(path) as AsyncIterable<Buffer>;
  } catch (error) {
    throw new CliFailure(`${path} cannot be read: ${(error as Error).message}`, 'unusable');
  }
}

/** A line that can be sent. */
interface EventLine {
  /** From 1; blank lines count. */
  readonly line: number;
  readonly text: string;
}

/** Reads a file or a pipe as far as it is there. */
class LineReader {
  private readonly chunks: AsyncIterator<Buffer>;
  private held: Buffer[] = [];
  /** Bytes before those that are held, of a line that is too large to be kept. */
  private droppedBytes = 0;
  private line = 0;
  private hasEnded = false;

  constructor(
    private readonly name: string,
    input: AsyncIterable<Buffer>,
  ) {
    this.chunks = input[Symbol.asyncIterator]();
  }

  /**
   * True if the first line ends, and is an object by itself, or a broken one before a line that is an object. A list, and an object of several lines, is
   * one text.
   */
  async areEvents(): Promise<boolean> {
    const [first] = await this.firstLines(1);
    if (this.hasEnded && !this.held.some((chunk) => chunk.includes(lineFeed))) return false;
    if (first === undefined || !first.startsWith('{')) return false;
    if (isJson(first)) return true;
    if (/[{[,:]$/.test(first)) return false; // an object may go on after these
    const [, second] = await this.firstLines(2);
    return second !== undefined && second.startsWith('{') && isJson(second);
  }

  /** All of the text. @throws CliFailure if it is not UTF-8 */
  async rest(): Promise<string> {
    while (!this.hasEnded) await this.more();
    return withoutMark(utf8In(this.taken(), this.name));
  }

  /** The lines that are there and not blank, as soon as there is one. In place of a line that Millrace cannot take, the reason. */
  async *lines(): AsyncIterable<(EventLine | UnfitLine)[]> {
    for (;;) {
      const bytes = this.taken();
      const end = this.hasEnded ? bytes.length : bytes.lastIndexOf(lineFeed) + 1;
      if (end < bytes.length) this.held.push(bytes.subarray(end));
      const lines = [...linesOf(bytes.subarray(0, end))].flatMap((each) => this.read(each));
      if (lines.length > 0) yield lines;
      if (this.hasEnded) return;
      await this.toLineEnd();
    }
  }

  private read(bytes: Buffer): (EventLine | UnfitLine)[] {
    const line = (this.line += 1);
    const size = this.droppedBytes + bytes.length;
    this.droppedBytes = 0;
    if (size > largestBodyBytes) return [{ line, ...tooLarge(size, `the ${largestBodyBytes} that Millrace can be set to take`) }];
    if (!isUtf8(bytes)) {
      const detail = `event: ${notUtf8}: column ${columnOfNonUtf8(bytes)} is the first that is not`;
      return [{ line, code: 'request.malformed', field: 'event', detail }];
    }
    const text = bytes.toString('utf8').trim(); // a byte order mark is trimmed, too
    return text === '' ? [] : [{ line, text }];
  }

  /** The first lines that are not blank, as many as there are up to `count`. */
  private async firstLines(count: number): Promise<string[]> {
    for (let looked = 0; ; looked = this.held.length, await this.more()) {
      if (!this.hasEnded && !this.held.slice(looked).some((chunk) => chunk.includes(lineFeed))) continue;
      const bytes = Buffer.concat(this.held);
      const lines = [...linesOf(this.hasEnded ? bytes : bytes.subarray(0, bytes.lastIndexOf(lineFeed) + 1))]
        .map((line) => line.toString('utf8').trim())
        .filter((line) => line !== '');
      if (this.hasEnded || lines.length >= count) return lines.slice(0, count);
    }
  }

  /** Reads on until a line ends. Of one that is too large, only the newest bytes are kept, so that memory is bounded. */
  private async toLineEnd(): Promise<void> {
    let size = this.droppedBytes + this.held.reduce((sum, chunk) => sum + chunk.length, 0);
    for (;;) {
      const chunk = await this.more();
      if (chunk === undefined || chunk.includes(lineFeed)) return;
      size += chunk.length;
      if (size <= largestBodyBytes) continue;
      this.held = [chunk];
      this.droppedBytes = size - chunk.length;
    }
  }

  private taken(): Buffer {
    const bytes = Buffer.concat(this.held);
    this.held = [];
    return bytes;
  }

  private async more(): Promise<Buffer | undefined> {
    const { value, done } = await this.chunks.next();
    if (done !== true) this.held.push(value);
    else this.hasEnded = true;
    return done === true ? undefined : value;
  }
}

const lineFeed = 0x0a;

/** Without the byte order mark that some editors write. */
function withoutMark(text: string): string {
  return text.replace(/^\uFEFF/, '');
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

/** The events API, and how to wait for it. */
interface EventsDoor {
  readonly connection: Connection;
  /** Undefined: a request that is to come later fails. */
  readonly wait: ((ms: number, why: string) => Promise<void>) | undefined;
}

/** The longest wait that is kept, and how often one request is made in all. */
const longestWaitMs = 300_000;
const mostTries = 20;

/** Makes the request again as long as the response says when: a rate is used up, or the log is away. */
async function postEvents({ connection, wait }: EventsDoor, request: { body: string; headers: Record<string, string> }): Promise<Response> {
  for (let tries = 1; ; tries += 1) {
    const response = await post(connection, '/v1/events', request);
    const isLater = response.status === 429 || response.status === 503;
    const waitMs = isLater ? parseRetryAfter(response.headers.get('retry-after'), wallTimeMs()) : undefined;
    if (wait === undefined || waitMs === undefined || waitMs > longestWaitMs || tries === mostTries) return response;
    const { detail } = (await response.json().catch(() => ({}))) as ProblemAnswer;
    await wait(waitMs, detail ?? `${connection.url} answered with status ${response.status}`);
  }
}

/** The result of one line, as the events API tells it. */
type LineResult = { readonly line: number; readonly eventId: string } | UnfitLine;

interface UnfitLine {
  readonly line: number;
  readonly code: string;
  readonly detail: string;
  readonly field?: string;
}

/** The results of the lines, by their place among those given; `too large` if fewer lines may be acceptable. */
async function sendLineBatch(door: EventsDoor, batch: readonly string[]): Promise<LineResult[] | 'too large'> {
  const response = await postEvents(door, { body: batch.join('\n'), headers: { 'content-type': 'application/x-ndjson' } });
  if (response.status === 200)
    return (await response.text())
      .trimEnd()
      .split('\n')
      .map((line) => inOwnWords(JSON.parse(line) as LineResult));
  if (response.status !== 413) throw await failureOfAnswer(door.connection, response, (_event, field) => field);
  const limit = await limitOf(response);
  return batch.length > 1 ? 'too large' : [{ line: 1, ...tooLarge(Buffer.byteLength(batch[0]!), limit) }];
}

/** The ids of the events; `too large` if fewer events may be acceptable. */
async function sendBatch(door: EventsDoor, batch: readonly string[], nameOf: Sending['nameOf']): Promise<string[] | 'too large'> {
  const response = await postEvents(door, {
    body: `[${batch.join(',')}]`,
    headers: { 'content-type': 'application/cloudevents-batch+json' },
  });
  if (response.status === 202) return ((await response.json()) as { eventIds: string[] }).eventIds;
  if (response.status !== 413) throw await failureOfAnswer(door.connection, response, nameOf);
  const limit = await limitOf(response);
  if (batch.length > 1) return 'too large';
  const { code, detail } = tooLarge(Buffer.byteLength(batch[0]!), limit);
  throw new CliFailure(detail.replace(/^event/, nameOf(0, 'the event')), 'refused', code);
}

/** The refusal of an event that is too large by itself. */
function tooLarge(bytes: number, limit: string): Omit<UnfitLine, 'line'> {
  return { code: 'request.tooLarge', field: 'event', detail: `event: has ${bytes} bytes, more than ${limit}` };
}

/** The limit of a request that a response of status 413 tells. One of a proxy tells none. */
async function limitOf(response: Response): Promise<string> {
  const { detail = '' } = (await response.json().catch(() => ({}))) as ProblemAnswer;
  const [, bytes] = /larger than (\d+) bytes/.exec(detail) ?? [];
  return bytes === undefined ? 'the server takes in a request' : `the ${bytes} of a request`;
}

/** Without the remedies that only a client of its own has. */
function inOwnWords<Result extends LineResult>(result: Result): Result {
  return 'detail' in result ? { ...result, detail: withoutHeader(result.detail) } : result;
}

function withoutHeader(reason: string): string {
  return reason.replace(
    /(is missing)\b.*\bIdempotency-Key\b.*/,
    '$1; give the event one: the same id at the same source is the same event',
  );
}

async function failureOfAnswer(connection: Connection, response: Response, nameOf: Sending['nameOf']): Promise<CliFailure> {
  const problem = (await response.json().catch(() => ({}))) as ProblemAnswer;
  const { code, detail = '', field = '' } = problem;
  const [, event, name] = /^(\d+)(?:\.(.+))?$/.exec(field) ?? [];
  if (event === undefined) return doorFailure(connection, '/v1/events', { status: response.status, problem });
  const reason = withoutHeader(detail.slice(field.length).replace(/^:? /, ''));
  return new CliFailure(`${nameOf(Number(event), name ?? 'the event')}: ${reason}`, 'refused', code);
}

function withProgress(error: unknown, sent: number, all: number): unknown {
  if (!(error instanceof CliFailure) || sent === 0) return error;
  const progress = `${sent} of ${counted(all, 'event')} accepted; when all are sent again, these are the same events`;
  return new CliFailure(`${error.message}\n${progress}`, error.kind, error.code);
}
