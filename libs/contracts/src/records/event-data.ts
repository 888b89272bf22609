import { parseJson } from '#libs/json';
import type { Json } from '#libs/json';
import { XmlRefused, xmlToJson } from '#libs/xml';
import { eventBody } from './event-received.js';
import type { EventReceived } from './event-received.js';

/** The format of a body by its content type. Parameters of the media type do not count. */
export function bodyFormat(contentType: string): 'json' | 'form' | 'xml' | 'text' | 'binary' {
  if (contentType === 'application/json') return 'json'; // what nearly all send
  const media = contentType.split(';', 1)[0]!.trim().toLowerCase();
  if (media === 'application/json' || media.endsWith('+json')) return 'json';
  if (media === 'application/x-www-form-urlencoded') return 'form';
  if (media === 'application/xml' || media === 'text/xml' || media.endsWith('+xml')) return 'xml';
  return media.startsWith('text/') ? 'text' : 'binary';
}

/**
 * The body as expressions see it (`body` at the door, `event.data` in a flow): JSON as its value, a form as an object of its fields (a field
 * given several times is an array), XML as an object of its elements (`libs/xml`), text as a string; null for any other content type. XML that is not
 * read (not well-formed, with a document type, longer than {@link longestXmlCharacters}, very deep) stays a string.
 * @param body its bytes, or the text they are
 * @throws SyntaxError where the content type says JSON and the body is not; JsonTooDeep
 */
export function parseBody(contentType: string, body: Buffer | string): Json {
  const format = bodyFormat(contentType);
  if (format === 'binary') return null;
  const text = typeof body !== 'string' ? utf8.decode(body) : body.startsWith(byteOrderMark) ? body.slice(1) : body;
  if (format === 'json') return parseJson(text);
  if (format === 'form') return formFields(text);
  return format === 'xml' ? xmlData(text) : text;
}

/** Longer XML stays text: parsing holds a process up, for some 50 ms at this length. */
export const longestXmlCharacters = 256 * 1_024;

function xmlData(text: string): Json {
  try {
    return xmlToJson(text, longestXmlCharacters);
  } catch (error) {
    if (error instanceof XmlRefused) return text;
    throw error;
  }
}

const byteOrderMark = '\uFEFF';
/** Decodes UTF-8 without a byte order mark. */
const utf8 = new TextDecoder();

function formFields(text: string): Json {
  const fields = new Map<string, string | string[]>();
  for (const [name, value] of new URLSearchParams(text)) {
    const earlier = fields.get(name);
    if (earlier === undefined) fields.set(name, value);
    else if (typeof earlier === 'string') fields.set(name, [earlier, value]);
    else earlier.push(value); // a copy for each value would take a time quadratic in their number
  }
  return Object.fromEntries(fields);
}

/** @throws SyntaxError as {@link parseBody} does */
export function eventData(event: Pick<EventReceived, 'contentType' | 'body' | 'bodyBase64'>): Json {
  return parseBody(event.contentType, event.body ?? eventBody(event));
}
