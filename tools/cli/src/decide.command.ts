import { randomUUID } from 'node:crypto';
import { serverEvents } from '#libs/http';
import type { ServerEvent } from '#libs/http';
import { sleep } from '#libs/time';
import type { Connection } from './connection.js';
import { doorFailure } from './door.failure.js';
import type { ProblemAnswer } from './door.failure.js';
import { CliFailure } from './failure.js';
import { post } from './graphql.client.js';
import type { Output } from './output.js';

export interface DecideOptions {
  readonly customer: string;
  readonly id?: string;
  readonly data?: string;
  /** Seconds. Default: what the flow says. */
  readonly wait?: number;
  readonly draft: boolean;
}

/** The body of a decision, or of a job. */
type Answer =
  | { readonly decision: unknown; readonly default: boolean; readonly reason: string | null }
  | { readonly jobId: string; readonly decision?: undefined };

/** A draft that is lost on the way is followed again so often. */
const mostConnections = 5;
const beforeNextMs = 500;

/**
 * `millrace decide`: asks for a decision and prints it, or the id of the job if there is none in time. With `draft`, the text of the model is written to
 * standard error as it comes. @throws CliFailure
 */
export async function decide(
  connection: Connection,
  flow: string,
  { customer, id = randomUUID(), data = '{}', wait, draft }: DecideOptions,
  { output, signal }: { readonly output: Output; readonly signal: AbortSignal },
): Promise<void> {
  const path = `/v1/decisions/${encodeURIComponent(flow)}`;
  const body = bodyOf({ customer, id }, data);
  const headers = { 'content-type': 'application/json', ...(wait === undefined ? {} : { prefer: `wait=${wait}` }) };
  if (!draft) return print(await answerOf(connection, path, await post(connection, path, { headers, body })), output);
  let resume: Record<string, string> = {};
  for (let connections = 1; ; connections += 1) {
    const response = await post(connection, path, { headers: { ...headers, accept: 'text/event-stream', ...resume }, body });
    if (!isStream(response)) return print(await answerOf(connection, path, response), output);
    try {
      for await (const event of serverEvents(response.body!)) {
        if (event.id !== undefined) resume = { 'last-event-id': event.id };
        if (isLast(event)) return print(lastAnswer(connection, path, event), output);
        show(event, output);
      }
    } catch (error) {
      if (error instanceof CliFailure) throw error;
    }
    if (connections === mostConnections)
      throw new CliFailure(`The connection to ${connection.url} was lost ${connections} times`, 'unusable');
    await sleep(beforeNextMs, signal).catch(() => {
      throw new CliFailure('Interrupted', 'unusable');
    });
  }
}

function print(answer: Answer, output: Output): void {
  if ('jobId' in answer) {
    output.note('There is no decision yet; `GET /v1/jobs/ID` has it when there is one');
    return output.result(answer, answer.jobId);
  }
  if (answer.default) output.note(`The default decision counts: ${answer.reason}`);
  output.result(answer, JSON.stringify(answer.decision));
}

/** The digits of numbers stay as they were written. @throws CliFailure */
function bodyOf(own: { readonly customer: string; readonly id: string }, data: string): string {
  const given = objectIn(data);
  const twice = Object.keys(own).find((name) => Object.hasOwn(given, name));
  if (twice !== undefined) throw new CliFailure(`--data has ${twice}, which --${twice} gives: leave it out there`, 'unusable');
  const members = data.trim().slice(1, -1).trim();
  return JSON.stringify(own).slice(0, -1) + (members === '' ? '}' : `,${members}}`);
}

function objectIn(data: string): object {
  try {
    const value: unknown = JSON.parse(data);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  } catch {
    // told below
  }
  throw new CliFailure(`--data must be an object in JSON, such as '{"message":"Hello"}'`, 'unusable');
}

async function answerOf(connection: Connection, path: string, response: Response): Promise<Answer> {
  if (response.status === 200 || response.status === 202) return (await response.json()) as Answer;
  throw doorFailure(connection, path, { status: response.status, problem: (await response.json().catch(() => ({}))) as ProblemAnswer });
}

function isStream(response: Response): boolean {
  return response.status === 200 && (response.headers.get('content-type') ?? '').startsWith('text/event-stream') && response.body !== null;
}

function isLast({ event }: ServerEvent): boolean {
  return event === 'decision' || event === 'job' || event === 'problem';
}

function lastAnswer(connection: Connection, path: string, { event, data }: ServerEvent): Answer {
  const value: unknown = JSON.parse(data);
  if (event !== 'problem') return value as Answer;
  const problem = value as ProblemAnswer & { status?: number };
  throw doorFailure(connection, path, { status: problem.status ?? 500, problem });
}

function show({ event, data }: ServerEvent, output: Output): void {
  if (event === 'draft') output.draft((JSON.parse(data) as { text: string }).text);
  if (event === 'restart') output.note('The draft is void; another one begins');
  if (event === 'skipped') output.note(`${(JSON.parse(data) as { characters: number }).characters} characters of the draft were skipped`);
}
