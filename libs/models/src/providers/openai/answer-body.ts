import { parseJson } from '#libs/json';
import { ModelUnavailable } from '../../model.errors.js';
import { isPage, pageAnswers } from './body-limits.js';

/** Providers send these bodies in many shapes, whatever their APIs document, so nothing about a member is taken for granted. */
export type Body = Readonly<Record<string, unknown>>;

/** A JSON value of a body, and the text that it was parsed from. */
export interface Parsed {
  readonly value: unknown;
  readonly text: string;
}

/**
 * Reads the body of a response with a status of success, whatever content type it has.
 * @returns the one JSON value; several if the server sent an event stream although none was asked for
 * @throws ModelMisconfigured for a web page: something other than the API answers at this address
 */
export async function valuesIn(response: Response): Promise<Parsed[]> {
  const providerRequestId = response.headers.get('x-request-id') ?? undefined;
  const text = (await response.text()).replace(/^\uFEFF/, '');
  if (isPage(text)) throw pageAnswers(providerRequestId);
  try {
    return text.trimStart().startsWith('data:') ? eventsIn(text) : [parsed(text)];
  } catch (cause) {
    const reason = text.trim() === '' ? 'it is empty' : 'it is not JSON';
    throw unreadable(reason, { cause, providerRequestId });
  }
}

/** A success that no model API sends, or one that its provider broke: a probe shows which of them. */
export function unreadable(reason: string, details: { cause?: unknown; providerRequestId: string | undefined }): ModelUnavailable {
  return new ModelUnavailable(`The provider's answer could not be read: ${reason}`, { ...details, mayConcernRequest: true });
}

function parsed(text: string): Parsed {
  // oxlint-disable-next-line no-restricted-properties -- counts and texts are read; `parseExactly` reads answers
  return { value: JSON.parse(text), text };
}

function eventsIn(text: string): Parsed[] {
  const data = text.split(/\r?\n/).flatMap((line) => (line.startsWith('data:') ? [line.slice('data:'.length).trim()] : []));
  return data.filter((each) => each !== '' && each !== '[DONE]').map(parsed);
}

/** The value as an object with unknown members; an empty one if it is none. */
export function bodyOf(value: unknown): Body {
  return typeof value === 'object' && value !== null ? (value as Body) : {};
}

export function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** The kinds of parts that the content of a message is made of. Only text is part of the answer; reasoning is not. */
const textParts = new Set(['text', 'output_text']);
const otherParts = new Set([
  'thinking',
  'redacted_thinking',
  'reasoning',
  'refusal',
  'image_url',
  'audio',
  'reference',
  'tool_use',
  'tool_call',
]);

/**
 * The text of a message's content: a text, a list of parts, one part, or the answer itself, if the server parsed what the model wrote.
 * @param exactly reads the content again with the digits of the numbers that `JSON.parse` rounds
 */
export function contentText(content: unknown, exactly: () => unknown = () => content): string {
  if (content === null || content === undefined) return '';
  if (typeof content !== 'object') return typeof content === 'string' ? content : JSON.stringify(content);
  if (!Array.isArray(content)) return isTextPart(content) ? textOfPart(content) : JSON.stringify(exactly());
  const parts = content as unknown[];
  if (
    !parts.every((part) => typeof part === 'string' || typeof bodyOf(part)['type'] === 'string') ||
    !parts.some((part) => typeof part === 'string' || isPart(part))
  ) {
    return JSON.stringify(exactly());
  }
  return parts.map((part) => (typeof part === 'string' ? part : isTextPart(part) ? textOfPart(part) : '')).join('');
}

/** Parses a body again, with the digits of its numbers. */
export function parseExactly(text: string): Body {
  return bodyOf(parseJson(text));
}

function isPart(part: unknown): boolean {
  const { type } = bodyOf(part);
  return typeof type === 'string' && (textParts.has(type) || otherParts.has(type));
}

function isTextPart(part: unknown): boolean {
  const { type, text } = bodyOf(part);
  return typeof type === 'string' && textParts.has(type) && text !== undefined;
}

function textOfPart(part: unknown): string {
  const { text } = bodyOf(part);
  return typeof text === 'string' ? text : (textOf(bodyOf(text)['value']) ?? '');
}

/** The largest count that is stored. */
const mostTokens = 2 ** 31 - 1;

/** A count of tokens, rounded; undefined if it is no number or no count that a request can have. */
export function tokensOf(value: unknown): number | undefined {
  if (typeof value !== 'number' || !(value >= 0)) return undefined;
  const tokens = Math.round(value);
  return tokens <= mostTokens ? tokens : undefined;
}
