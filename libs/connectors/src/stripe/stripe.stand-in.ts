import type { Json } from '#libs/json';
import { startStandIn } from '../stand-in.js';
import type { StandInHandler, StandInRequest, StandInResponse, VendorStandIn } from '../stand-in.js';

type StripeObject = { id: string; object: string } & { [field: string]: Json };

/** Stripe's API as far as operations use it: objects of any kind, idempotency keys that are kept, lists with cursors. */
export interface StripeState {
  /** By path of their list, such as `customers`, the oldest first. */
  readonly objects: Map<string, StripeObject[]>;
}

export type StripeStandIn = VendorStandIn & StripeState;

const kinds: Readonly<Record<string, [object: string, prefix: string]>> = {
  customers: ['customer', 'cus'],
  refunds: ['refund', 're'],
  payment_intents: ['payment_intent', 'pi'],
  invoiceitems: ['invoiceitem', 'ii'],
  webhook_endpoints: ['webhook_endpoint', 'we'],
};

/** Webhook endpoints that were made. */
let endpoints = 0;

const refusal = (status: number, error: { [field: string]: Json }): StandInResponse => ({ status, body: { error } });

export async function startStripeStandIn(): Promise<StripeStandIn> {
  const { handle, ...state } = stripeStandIn();
  return { ...(await startStandIn(handle)), ...state };
}

export function stripeStandIn(): StripeState & { handle: StandInHandler } {
  const objects = new Map<string, StripeObject[]>();
  const answers = new Map<string, { request: string; response: StandInResponse }>();
  const handle: StandInHandler = (request) => {
    const key = request.headers['idempotency-key'];
    const known = key === undefined ? undefined : answers.get(key);
    const said = `${request.method} ${request.segments.join('/')} ${request.text}`;
    if (known !== undefined && known.request !== said)
      return refusal(400, { type: 'idempotency_error', message: 'Keys for idempotent requests can only be used with the same parameters' });
    if (known !== undefined) return { ...known.response, headers: { 'idempotent-replayed': 'true' } };
    const response = answer(objects, request);
    if (key !== undefined && request.method === 'POST') answers.set(key, { request: said, response });
    return response;
  };
  return { handle, objects };
}

function answer(objects: Map<string, StripeObject[]>, { method, segments, query, text }: StandInRequest): StandInResponse {
  const [version, list = '', id] = segments;
  if (version === 'v1' && list === 'balance') return { status: 200, body: { object: 'balance', available: [] } };
  const [object, prefix] = kinds[list] ?? [];
  if (version !== 'v1' || object === undefined) return refusal(404, { type: 'invalid_request_error', message: `Unrecognized request URL` });
  const known = objects.get(list) ?? [];
  objects.set(list, known);
  if (method === 'POST' && id === undefined) {
    const made: StripeObject = { id: `${prefix}_${known.length + 1}`, object, ...fieldsOf(text) };
    known.push(made);
    if (list !== 'webhook_endpoints') return { status: 200, body: made };
    made.id = `${prefix}_${(endpoints += 1)}`; // never one that was deleted
    made['status'] = 'enabled';
    return { status: 200, body: { ...made, secret: `whsec_${made.id}_0123456789abcdef` } }; // shown here alone
  }
  if (id !== undefined) {
    const found = known.find((one) => one.id === id);
    if (found === undefined)
      return refusal(404, { type: 'invalid_request_error', code: 'resource_missing', message: `No such ${object}: '${id}'` });
    if (method === 'DELETE') {
      known.splice(known.indexOf(found), 1);
      return { status: 200, body: { id, object, deleted: true } };
    }
    if (method === 'POST') change(found, fieldsOf(text));
    return { status: 200, body: found };
  }
  const newest = known.toReversed();
  const start = newest.findIndex((one) => one.id === query.get('starting_after')) + 1;
  const end = start + Number(query.get('limit') ?? 10);
  return { status: 200, body: { object: 'list', url: `/v1/${list}`, data: newest.slice(start, end), has_more: end < newest.length } };
}

/** A webhook endpoint takes `disabled` and shows it as its `status`. */
function change(found: StripeObject, { disabled, ...fields }: { [field: string]: Json }): void {
  Object.assign(found, fields);
  if (disabled !== undefined) found['status'] = disabled === 'true' ? 'disabled' : 'enabled';
}

/** Fields of the first two levels are enough for what is sent here. */
function fieldsOf(text: string): { [field: string]: Json } {
  const fields: { [field: string]: Json } = {};
  for (const [name, value] of new URLSearchParams(text)) {
    const [, outer = name, inner] = /^([^[]+)\[([^\]]+)\]$/.exec(name) ?? [];
    if (inner === undefined) fields[outer] = value;
    else if (/^\d+$/.test(inner)) fields[outer] = [...((fields[outer] ?? []) as Json[]), value];
    else fields[outer] = { ...(fields[outer] as object), [inner]: value };
  }
  return fields;
}
