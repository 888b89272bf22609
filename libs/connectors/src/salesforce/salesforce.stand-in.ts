import type { Json } from '#libs/json';
import { startStandIn } from '../stand-in.js';
import type { StandInResponse, VendorStandIn } from '../stand-in.js';

/** Salesforce's REST API as far as operations use it: records with external ids, and queries of one condition. */
export interface SalesforceStandIn extends VendorStandIn {
  /** By object, the oldest first. */
  readonly records: Map<string, { [field: string]: Json }[]>;
}

const refusal = (status: number, errorCode: string, message: string): StandInResponse => ({ status, body: [{ errorCode, message }] });
/** Records of one page of a query. */
const pageSize = 2_000;

export async function startSalesforceStandIn(): Promise<SalesforceStandIn> {
  const records = new Map<string, { [field: string]: Json }[]>();
  const of = (object: string): { [field: string]: Json }[] => {
    if (!records.has(object)) records.set(object, []);
    return records.get(object)!;
  };
  const standIn = await startStandIn(({ method, segments, query, body }) => {
    const [services, data, version, area = '', object = '', field, value] = segments;
    if (services !== 'services' || data !== 'data' || version !== 'v66.0') return refusal(404, 'NOT_FOUND', 'no such resource');
    const headers = { 'sforce-limit-info': 'api-usage=18/5000' };
    if (area === 'limits') return { status: 200, headers, body: { DailyApiRequests: { Max: 5_000, Remaining: 4_982 } } };
    if (area === 'query') return { headers, ...found(of, query.get('q') ?? '', Number(object === '' ? 0 : object)) };
    if (area === 'composite') {
      const [, , , , , type = '', externalId = ''] = segments;
      const { records: given } = body as unknown as { records: { [field: string]: Json }[] };
      return { status: 200, headers, body: given.map((one) => upsert(of(type), externalId, one[externalId] as string, one)) };
    }
    if (field === 'describe') return { status: 200, headers, body: { name: object, fields: [] } };
    if (method === 'PATCH' && value !== undefined) {
      const { created, ...saved } = upsert(of(object), field!, value, body as { [field: string]: Json });
      return { status: created ? 201 : 200, headers, body: { ...saved, created } };
    }
    const known = of(object);
    const record = known.find(({ Id }) => Id === field);
    if (record === undefined) return refusal(404, 'NOT_FOUND', 'The requested resource does not exist');
    if (method === 'GET') return { status: 200, headers, body: record };
    if (method === 'DELETE') known.splice(known.indexOf(record), 1);
    else Object.assign(record, body);
    return { status: 204, headers };
  });
  return { ...standIn, records };
}

function upsert(known: { [field: string]: Json }[], field: string, value: string, given: { [field: string]: Json }) {
  const { attributes: _, ...fields } = given;
  const record = known.find((one) => one[field] === value);
  if (record !== undefined) Object.assign(record, fields);
  else known.push({ Id: `00Q${String(known.length).padStart(15, '0')}`, [field]: value, ...fields });
  return { id: (record ?? known.at(-1)!)['Id'] as string, success: true, errors: [], created: record === undefined };
}

/** Reads `SELECT … FROM Object [WHERE Field = 'text']`, and its next pages, which are named by where they begin. */
function found(of: (object: string) => { [field: string]: Json }[], soql: string, start: number): StandInResponse {
  const {
    object = '',
    field,
    text,
  } = /^SELECT .+ FROM (?<object>\w+)(?: WHERE (?<field>\w+) = '(?<text>(?:[^'\\]|\\.)*)')?$/s.exec(soql)?.groups ?? {};
  if (object === '' && start === 0) return refusal(400, 'MALFORMED_QUERY', 'unexpected token');
  const wanted = text?.replaceAll(/\\(.)/gs, (_, char: string) => ({ n: '\n', r: '\r', t: '\t', b: '\b', f: '\f' })[char] ?? char);
  const all = of(object === '' ? 'Lead' : object).filter((record) => field === undefined || record[field] === wanted);
  const end = start + pageSize;
  const more = end < all.length ? { nextRecordsUrl: `/services/data/v66.0/query/${end}` } : {};
  return { status: 200, body: { totalSize: all.length, done: end >= all.length, records: all.slice(start, end), ...more } };
}
