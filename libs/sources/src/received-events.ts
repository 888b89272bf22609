import { isUtf8 } from 'node:buffer';
import { bodyFormat, longestXmlCharacters } from '#libs/contracts';
import type { Json } from '#libs/json';
import { MediaTypeUnsupported } from '#libs/service';
import type { DoorRequest } from '#libs/service';
import type { Preset } from '#libs/signatures';
import { XmlRefused, xmlToJson } from '#libs/xml';
import { readBody } from './body.js';
import { BodyMalformed } from './body.errors.js';
import { splitBody } from './split.js';

/** The content of a verified request, or of one event of it. */
export interface ReceivedEvent {
  readonly payload: Buffer;
  /** The payload as text, if it is known to be text without control characters. */
  readonly text: string | undefined;
  readonly contentType: string;
  /** The data that expressions see. */
  readonly body: Json;
}

/**
 * Reads a verified body. If the provider puts JSON in a field of a form, that JSON is the event. JSON of no bytes counts as null: some providers send
 * requests without a body.
 * @throws MediaTypeUnsupported, BodyMalformed
 */
export function readRequest(preset: Preset, { headers, rawBody }: DoorRequest): ReceivedEvent {
  const contentType = headers['content-type'] ?? (preset.sends === 'any' ? 'application/octet-stream' : 'application/json');
  const format = bodyFormat(contentType);
  if (preset.sends !== 'any' && !preset.sends.some((sent) => sent === format)) {
    throw new MediaTypeUnsupported(contentType, preset.sends.map((sent) => mediaTypes[sent]).join(' or '));
  }
  if (format === 'xml' && preset.sends !== 'any') return readXml(rawBody);
  if (format === 'json' && rawBody.length === 0) return { payload: Buffer.from('null'), text: 'null', contentType, body: null };
  const { value: body, text } = readBody(contentType, rawBody, 'body');
  const inner = format === 'form' && preset.jsonField !== undefined ? (body as Record<string, Json>)[preset.jsonField] : undefined;
  if (typeof inner !== 'string') return { payload: rawBody, text, contentType, body };
  const payload = Buffer.from(inner);
  const read = readBody('application/json', payload, `body.${preset.jsonField}`);
  return { payload, text: read.text, contentType: 'application/json', body: read.value };
}

const mediaTypes = { json: 'application/json', form: 'a form', xml: 'text/xml' } as const;

/** The XML of a preset is read as JSON, in which its events stand; what it says otherwise is not kept. @throws BodyMalformed */
function readXml(rawBody: Buffer): ReceivedEvent {
  if (!isUtf8(rawBody)) throw new BodyMalformed('body', 'is not UTF-8');
  try {
    const body = xmlToJson(rawBody.toString('utf8').replace(/^\uFEFF/, ''), longestXmlCharacters);
    const text = JSON.stringify(body);
    return { payload: Buffer.from(text), text, contentType: 'application/json', body };
  } catch (error) {
    if (error instanceof XmlRefused) throw new BodyMalformed('body', `is no XML that is read: ${error.message}`);
    throw error;
  }
}

/** The events of a request, in its order: several if its provider sends them together. @throws RequestTooSplit */
export function eventsOf({ split }: Preset, request: ReceivedEvent): readonly ReceivedEvent[] {
  if (split === undefined || request.text === undefined) return [request];
  return splitBody(request.body, request.text, split).map((text) => {
    const payload = Buffer.from(text);
    return { payload, text, contentType: request.contentType, body: readBody('application/json', payload, 'body').value };
  });
}
