import type { IncomingHttpHeaders } from 'node:http';
import { DomainError, bodyFormat } from '#libs/contracts';
import { rfc3339Instant, usableText } from '#libs/intake';
import { LosslessNumber, elementTexts, linesOf, memberTexts } from '#libs/json';
import type { Json } from '#libs/json';
import { idempotencyKey } from '../intake/idempotency-key.js';
import { MediaTypeUnsupported, RequestInvalid } from '#libs/service';
import { BodyMalformed, jsonTextOf, readBody, readJson } from '#libs/sources';

/** A valid CloudEvent of any content mode (CloudEvents 1.0, HTTP binding and JSON format). */
export interface CloudEvent {
  /** Prefix of attribute names in errors: `2.` for the third event of a batch. */
  readonly path: string;
  readonly source: string;
  /** Every attribute as text, named as binary mode names its header: `ce-id`, `ce-subject`, … and `content-type`. */
  readonly attributes: Readonly<Record<string, string>>;
  readonly contentType: string;
  readonly payload: Buffer;
  /** The payload as text, if it is known to be text without control characters. */
  readonly text?: string | undefined;
  readonly data: Json;
}

type CloudEventData = Pick<CloudEvent, 'payload' | 'text' | 'data'>;

/** A batch has more events than one request may have. */
export class BatchTooLarge extends DomainError {
  readonly code = 'request.tooLarge';
  constructor(events: number, maxBatch: number) {
    super(`The batch has ${events} events, one may have ${maxBatch}; split it`);
  }
}

interface CloudEventInput {
  headers: IncomingHttpHeaders;
  rawBody: Buffer;
  maxBatch: number;
}

const structured = 'application/cloudevents+json';
const batched = 'application/cloudevents-batch+json';

/** The media types of JSON Lines. None of them is registered. */
const lineTypes = ['application/x-ndjson', 'application/ndjson', 'application/jsonl'];
export const linesType = lineTypes[0]!;

/** One line of JSON Lines: an event, or the reason why it is none. */
export interface CloudEventLine {
  /** From 1; blank lines count. */
  readonly line: number;
  /** Its length. */
  readonly bytes: number;
  readonly found: CloudEvent | DomainError;
}

/** True if the body is CloudEvents as JSON Lines, each of which is accepted or refused by itself. */
export function hasLines(headers: IncomingHttpHeaders): boolean {
  return lineTypes.includes(mediaTypeOf(headers) ?? '');
}

/** The lines of a body that are not blank. @throws BodyMalformed, RequestInvalid, BatchTooLarge for the body as a whole */
export function readCloudEventLines({ headers, rawBody, maxBatch }: CloudEventInput): CloudEventLine[] {
  const key = idempotencyKey(headers);
  const lines: { readonly bytes: Buffer; readonly line: number }[] = [];
  let [line, count] = [0, 0];
  for (const bytes of linesOf(rawBody)) {
    line += 1;
    if (bytes.toString('utf8').trim() === '') continue; // a byte order mark is trimmed, too
    count += 1;
    if (count <= maxBatch) lines.push({ bytes, line });
  }
  if (count === 0) throw new BodyMalformed('body', 'has no event: write one event a line, as JSON');
  if (count > maxBatch) throw new BatchTooLarge(count, maxBatch);
  return lines.map(({ bytes, line: number }) => {
    const head = { line: number, bytes: bytes.length };
    try {
      const text = jsonTextOf(bytes, 'event').trim();
      return { ...head, found: fromJson(readJson(text, 'event'), text, '', key && `${key}/${number}`, 'event') };
    } catch (error) {
      if (error instanceof BodyMalformed || error instanceof RequestInvalid) return { ...head, found: error };
      throw error;
    }
  });
}

function mediaTypeOf(headers: IncomingHttpHeaders): string | undefined {
  return headers['content-type']?.split(';', 1)[0]!.trim().toLowerCase();
}

/** @throws BodyMalformed, RequestInvalid, MediaTypeUnsupported, BatchTooLarge */
export function readCloudEvents({ headers, rawBody, maxBatch }: CloudEventInput): CloudEvent[] {
  const fallbackId = idempotencyKey(headers);
  switch (mediaTypeOf(headers)) {
    case structured: {
      const { value, text } = readBody(structured, rawBody, 'body');
      return [fromJson(value, text!, '', fallbackId)];
    }
    case batched: {
      const { value: events, text } = readBody(structured, rawBody, 'body');
      if (!Array.isArray(events)) throw new BodyMalformed('body', 'is not an array of CloudEvents');
      if (events.length > maxBatch) throw new BatchTooLarge(events.length, maxBatch);
      const texts = elementTexts(text!);
      return events.map((event, at) => fromJson(event, texts[at]!, `${at}.`, fallbackId && `${fallbackId}/${at}`));
    }
    default:
      if (headers['ce-specversion'] === undefined) {
        throw new MediaTypeUnsupported(
          headers['content-type'],
          `${structured}, ${batched}, ${linesType} with one event a line, or any type with ce-* headers (CloudEvents 1.0)`,
        );
      }
      return [fromHeaders(headers, rawBody, fallbackId)];
  }
}

/** Attributes that are texts by the standard. A number would lose its identity on its way through systems that read it as a double. */
const textAttributes = new Set(['id', 'source', 'specversion', 'type', 'subject', 'time', 'datacontenttype', 'dataschema']);

/**
 * @param text the event as it was written
 * @param whole the name of an event without a path, for errors
 */
function fromJson(event: Json, text: string, path: string, fallbackId: string | undefined, whole = 'body'): CloudEvent {
  if (event === null || typeof event !== 'object' || Array.isArray(event) || event instanceof LosslessNumber)
    throw new BodyMalformed(path.slice(0, -1) || whole, 'is not an object');
  const { data, data_base64: base64, ...context } = event;
  const attributes: Record<string, string> = {};
  for (const [name, value] of Object.entries(context)) {
    if (value === null) continue;
    if (typeof value !== 'string' && textAttributes.has(name)) throw new RequestInvalid(path + name, 'must be text');
    if (typeof value === 'object' && !(value instanceof LosslessNumber))
      throw new RequestInvalid(path + name, 'must be text, a number or a boolean');
    attributes[`ce-${name}`] = String(value);
  }
  const contentType = attributes['ce-datacontenttype'] ?? 'application/json';
  return {
    ...checked(attributes, path, fallbackId),
    contentType,
    ...(base64 === undefined ? jsonData(data ?? null, text, contentType, path) : base64Data(base64, data, contentType, path)),
  };
}

/** JSON data stays as the partner wrote it. */
function jsonData(data: Json, event: string, contentType: string, path: string): CloudEventData {
  if (bodyFormat(contentType) === 'json') {
    const text = memberTexts(event).get('data') ?? 'null';
    return { payload: Buffer.from(text), text, data };
  }
  if (typeof data !== 'string')
    throw new RequestInvalid(`${path}data`, `must be text, because datacontenttype is not JSON; bytes go into data_base64`);
  const payload = Buffer.from(data);
  return read(contentType, payload, `${path}data`);
}

function base64Data(base64: Json, data: Json | undefined, contentType: string, path: string): CloudEventData {
  if (data !== undefined) throw new RequestInvalid(`${path}data_base64`, 'must not stand beside data');
  const payload = Buffer.from(typeof base64 === 'string' ? base64 : '', 'base64');
  if (payload.toString('base64') !== base64) throw new RequestInvalid(`${path}data_base64`, 'must be base64');
  return read(contentType, payload, `${path}data_base64`);
}

function read(contentType: string, payload: Buffer, field: string): CloudEventData {
  const { value: data, text } = readBody(contentType, payload, field);
  return { payload, text, data };
}

function fromHeaders(headers: IncomingHttpHeaders, rawBody: Buffer, fallbackId: string | undefined): CloudEvent {
  const attributes: Record<string, string> = {};
  for (const [header, value] of Object.entries(headers)) {
    if (header.startsWith('ce-')) attributes[header] = unescaped(header, String(value));
  }
  const contentType = headers['content-type'] ?? 'application/json';
  const event = checked(attributes, 'ce-', fallbackId);
  if (rawBody.length === 0 && bodyFormat(contentType) === 'json')
    return { ...event, contentType, payload: Buffer.from('null'), data: null };
  return { ...event, contentType, ...read(contentType, rawBody, 'body') };
}

/** Removes quotes, then decodes percent-encoding once (CloudEvents HTTP binding §3.1.3.2). */
function unescaped(header: string, value: string): string {
  const quoted = /^"((?:[^"\\]|\\.)*)"$/.exec(value);
  const text = quoted === null ? value : quoted[1]!.replaceAll(/\\(.)/g, '$1');
  try {
    return decodeURIComponent(text);
  } catch {
    throw new RequestInvalid(header, 'has a percent sign that starts no UTF-8 character; write it as %25');
  }
}

/** Checks the required attributes, and those that Millrace reads. */
function checked(
  attributes: Record<string, string>,
  path: string,
  fallbackId: string | undefined,
): Pick<CloudEvent, 'path' | 'source' | 'attributes'> {
  if (attributes['ce-specversion'] !== '1.0') throw new RequestInvalid(`${path}specversion`, 'must be 1.0');
  const id = attributes['ce-id'] ?? fallbackId;
  if (id === undefined)
    throw new RequestInvalid(`${path}id`, 'is missing; give the event one, or the request the header Idempotency-Key to stand for it');
  const all: Record<string, string> = { ...attributes, 'ce-id': id };
  for (const name of ['id', 'source', 'type', 'subject']) {
    const value = all[`ce-${name}`];
    if (value === undefined && name !== 'subject') throw new RequestInvalid(path + name, 'is missing');
    if (value !== undefined && usableText(value) === null)
      throw new RequestInvalid(path + name, 'must be 1 to 256 characters, no control characters');
  }
  if (all['ce-time'] !== undefined && rfc3339Instant(all['ce-time']) === null)
    throw new RequestInvalid(`${path}time`, 'must be RFC 3339 in the years 0001 to 9999, such as 2026-01-31T12:00:00Z');
  return { path, source: all['ce-source']!, attributes: all };
}
