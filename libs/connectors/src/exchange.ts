import type { AuthorizedRequest, OutboundRequest } from '#libs/connections';
import { HostAddressForbidden, HostTimedOut, HostUnreachable } from '#libs/http';
import type { HttpAnswer, HttpClient, HttpMethod } from '#libs/http';
import { parseJson } from '#libs/json';
import type { Json } from '#libs/json';
import { Redaction } from '#libs/redaction';
import type { CallSecrets, OpenConnection } from './connector.js';
import { OperationFailure, timedOut } from './operation.errors.js';
import type { Receipt } from './peer.js';
import { XmlRefused, xmlToJson } from '#libs/xml';

/** How much of a response a receipt keeps, in characters. */
const longestExcerpt = 16 * 1_024;

/** How much of a content type a message quotes, in characters. */
const longestType = 100;

/** A response as rules and expressions see it. */
export interface Response {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** Parsed, if it is JSON, or XML, which becomes JSON; else undefined. */
  readonly body: Json | undefined;
  readonly text: string;
  /** The body of a response that was asked for as bytes. */
  readonly base64?: string;
}

export interface OperationAnswer {
  readonly response: Response;
  /** True: all of the body came, and it is JSON where it says so. */
  readonly isWhole: boolean;
  /** True: there is more of the body than the operation reads. */
  readonly isTooLong: boolean;
  /** The flaw of a body that is not whole, as words of a sentence; else empty. */
  readonly flaw: string;
  readonly receipt: Receipt;
  readonly redaction: Redaction;
  readonly request: AuthorizedRequest;
}

export interface ExchangeOptions {
  readonly isWrite: boolean;
  readonly maxBodyBytes: number;
  /** True if the body of a response with a status of success is bytes. */
  readonly wantsBytes: boolean;
  readonly secrets: CallSecrets | undefined;
  /** When the operation must have ended, by the monotonic clock. */
  readonly endsAtMs: number;
  readonly traceparent: string | undefined;
  readonly requireClaim: (() => void) | undefined;
  /** Ends the operation. */
  readonly signal: AbortSignal;
  /** Ends with that signal, and at the deadline. */
  readonly untilDeadline: AbortSignal;
}

/**
 * Sends a request as the connection.
 * @throws OperationFailure if no answer came; what the authorizer throws; the signal's reason
 */
export async function exchange(
  http: HttpClient,
  { name, authorizer, timeoutMs }: OpenConnection,
  request: OutboundRequest,
  { isWrite, maxBodyBytes, wantsBytes, secrets, endsAtMs, traceparent, requireClaim, signal, untilDeadline }: ExchangeOptions,
): Promise<OperationAnswer> {
  const authorized = await authorizer.authorize(request, untilDeadline);
  const leftMs = endsAtMs - performance.now();
  if (leftMs < 1) throw timedOut(`The connection ${name} had no credential to send within ${timeoutMs} ms`, false);
  if (isWrite) requireClaim?.();
  const { url, headers, body, tls } = authorized;
  try {
    const answer = await http.request({
      method: authorized.method as HttpMethod,
      url,
      headers: { 'user-agent': 'Millrace', ...headers, ...(traceparent === undefined ? {} : { traceparent }) },
      body,
      maxBodyBytes,
      timeoutMs: Math.max(1, Math.ceil(leftMs)),
      signal, // the client keeps the deadline itself, and tells whether anything was sent
      tls,
    });
    return wantsBytes && isSuccess(answer) ? bytesOf(answer, authorized) : await answerOf(answer, authorized, secrets);
  } catch (error) {
    throw failureOf(error, isWrite);
  }
}

/** The reason why expressions find nothing in a body; undefined if it was read, or came as bytes. */
export function unreadableBody({ response: { body, base64, headers, text }, redaction }: OperationAnswer): string | undefined {
  if (body !== undefined || base64 !== undefined) return undefined;
  if (text.trim() === '') return 'it has no body';
  const type = /^[\w.+-]+\/[\w.+-]+/.exec(headers['content-type'] ?? '')?.[0]?.slice(0, longestType) ?? '';
  if (/\bhtml\b/i.test(type) || /^\s*<(?:!doctype\s+html|html)\b/i.test(text))
    return 'the body is a web page and not JSON: check the address of the connection, and what may answer in its place, such as a login page or a proxy';
  const said = type === '' ? 'it has no content type' : `its content type is ${redaction.apply(type)}`;
  return `the body is neither JSON nor XML that can be read (${said})`;
}

function isSuccess({ status, ending }: HttpAnswer): boolean {
  return status >= 200 && status < 300 && ending === 'complete';
}

function bytesOf({ status, headers, body }: HttpAnswer, request: AuthorizedRequest): OperationAnswer {
  return {
    response: { status, headers, body: undefined, text: '', base64: body.toString('base64') },
    isWhole: true,
    isTooLong: false,
    flaw: '',
    receipt: { summary: `status ${status}`, detail: { status } },
    redaction: new Redaction(request.secrets),
    request,
  };
}

async function answerOf(
  { status, headers, body, ending }: HttpAnswer,
  request: AuthorizedRequest,
  secrets: CallSecrets | undefined,
): Promise<OperationAnswer> {
  const text = body.toString('utf8');
  const type = headers['content-type'] ?? '';
  const isXml = /\bxml\b/i.test(type);
  const json = ending === 'complete' ? (isXml ? xmlOf(text) : jsonOf(text)) : undefined;
  const made = json === undefined ? undefined : await secrets?.madeIn?.(json);
  const redaction = new Redaction([...request.secrets, ...(secrets?.given ?? []), ...(made === undefined ? [] : [made])]);
  const isJson = /\bjson\b/i.test(type);
  const isGarbled = json === undefined && isJson && text !== '';
  const flaw = ending === 'complete' ? (isGarbled ? 'a body that is not the JSON it says it is' : '') : flaws[ending];
  return {
    response: { status, headers, body: json, text },
    isWhole: flaw === '',
    isTooLong: ending === 'tooLarge',
    flaw,
    receipt: { summary: `status ${status}`, detail: { status, excerpt: redaction.apply(text).slice(0, longestExcerpt) } },
    redaction,
    request,
  };
}

const flaws = {
  cut: 'a body that broke off',
  late: 'a body that did not end by the deadline',
  tooLarge: 'a body that is longer than the operation reads',
} as const;

function jsonOf(text: string): Json | undefined {
  if (text === '') return undefined;
  try {
    return parseJson(text);
  } catch {
    return undefined;
  }
}

/** XML that is not read is no fault of the response: it may be what was asked for. */
function xmlOf(text: string): Json | undefined {
  try {
    return xmlToJson(text);
  } catch (error) {
    if (error instanceof XmlRefused) return undefined;
    throw error;
  }
}

function failureOf(error: unknown, isWrite: boolean): unknown {
  if (error instanceof HostTimedOut) return timedOut(error.message, isWrite && error.wasSent, error);
  if (error instanceof HostUnreachable)
    return new OperationFailure('operation.unavailable', error.message, {
      peer: 'unreachable',
      isUncertain: isWrite && error.wasSent,
      cause: error,
    });
  if (error instanceof HostAddressForbidden)
    return new OperationFailure('operation.addressForbidden', error.message, { peer: 'unknown', cause: error });
  return error;
}
