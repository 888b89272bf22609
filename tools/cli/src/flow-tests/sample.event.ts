import { readFileSync } from 'node:fs';
import { eventId, isForRequestsAlone, usualRequestType } from '#libs/contracts';
import type { EventReceived, FlowDocument } from '#libs/contracts';
import { parseJson } from '#libs/json';
import type { Json } from '#libs/json';
import { wallTime } from '#libs/time';
import { CliFailure } from '../failure.js';
import { sampleEvent } from './flow-test.js';
import type { SampleEvent } from './flow-test.js';

/** Fields of the sample that the command line sets. */
export interface SampleOptions {
  type?: string | undefined;
  source?: string | undefined;
  customer?: string | undefined;
}

/**
 * Reads a sample event of a JSON file: an event as expressions see it (`type`, `source`, `customer`, `data`), a CloudEvent, or the body of a request.
 * @throws CliFailure if the file cannot be read or is not JSON
 */
export function readSample(path: string): SampleEvent {
  const value = jsonIn(path);
  if (isObject(value) && 'specversion' in value) {
    const { type, subject, time, data = null } = value;
    return { ...textsOf({ type: type ?? null, customer: subject ?? null, occurredAt: time ?? null }), data }; // the door keeps the data alone
  }
  const sample = sampleEvent.safeParse(value);
  return sample.success ? sample.data : { data: value };
}

/** The sample as the log would have it. What it does not say follows from the flow where that leaves one choice. */
export function eventOf(sample: SampleEvent, flow: FlowDocument, options: SampleOptions): EventReceived {
  const { tenant } = flow.metadata;
  const { sources, types } = flow.spec.on;
  const receivedAt = wallTime().toISOString();
  const source = options.source ?? sample.source ?? (isForRequestsAlone(flow.spec) ? flow.metadata.name : only(sources)) ?? 'sample';
  const isRequest = flow.spec.onRequest !== undefined && source === flow.metadata.name;
  const body = JSON.stringify(sample.data);
  const ofRequest: { type?: string; customer?: string } = isRequest ? requestFields(sample.data) : {};
  return {
    eventId: eventId(tenant, source, { body: Buffer.from(body) }),
    tenant,
    source,
    customer: options.customer ?? sample.customer ?? ofRequest.customer ?? 'sample',
    lane: 'normal',
    type: options.type ?? sample.type ?? ofRequest.type ?? only(types?.filter((type) => !type.includes('*'))) ?? 'sample',
    providerEventId: null,
    occurredAt: sample.occurredAt ?? receivedAt,
    receivedAt,
    contentType: 'application/json',
    body,
    ...(isRequest && { request: { flow: flow.metadata.name, flowVersion: 1 } }),
  };
}

function jsonIn(path: string): Json {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new CliFailure(`${path} cannot be read: ${(error as Error).message}`, 'unusable');
  }
  try {
    return parseJson(text);
  } catch (error) {
    throw new CliFailure(`${path} is no JSON: ${(error as Error).message}`, 'unusable');
  }
}

/** The fields that an event takes its own from, where they are texts. */
function textsOf(value: Json): { type?: string; customer?: string; occurredAt?: string } {
  if (!isObject(value)) return {};
  const { type, customer, occurredAt } = value;
  const texts = Object.entries({ type, customer, occurredAt }).filter(([, text]) => typeof text === 'string' && text !== '');
  return Object.fromEntries(texts);
}

/** The fields of the event that the door reads from the body of a request. */
function requestFields(data: Json): { type: string; customer?: string } {
  const { type = usualRequestType, customer } = textsOf(data);
  return { type, ...(customer !== undefined && { customer }) };
}

function only(values: readonly string[] | undefined): string | undefined {
  return values?.length === 1 ? values[0] : undefined;
}

function isObject(value: Json): value is { [key: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
