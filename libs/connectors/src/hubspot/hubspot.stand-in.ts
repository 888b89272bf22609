import type { Json } from '#libs/json';
import { startStandIn } from '../stand-in.js';
import type { StandInHandler, StandInResponse, VendorStandIn } from '../stand-in.js';

interface CrmObject {
  readonly id: string;
  readonly properties: { [name: string]: Json };
}

/** HubSpot's CRM as far as operations use it: objects that are found by unique properties, searches and associations. */
export interface HubSpotState {
  /** By type, the oldest first. */
  readonly objects: Map<string, CrmObject[]>;
  readonly associations: Set<string>;
}

export type HubSpotStandIn = VendorStandIn & HubSpotState;

const refusal = (status: number, category: string, message: string): StandInResponse => ({
  status,
  body: { status: 'error', category, message },
});

export async function startHubSpotStandIn(): Promise<HubSpotStandIn> {
  const { handle, ...state } = hubSpotStandIn();
  return { ...(await startStandIn(handle)), ...state };
}

export function hubSpotStandIn(): HubSpotState & { handle: StandInHandler } {
  const objects = new Map<string, CrmObject[]>();
  const associations = new Set<string>();
  const handle: StandInHandler = ({ method, segments, query, body }) => {
    const [area, , version, type = '', ...rest] = segments;
    if (area === 'account-info') return { status: 200, body: { uiDomain: 'app.hubspot.com', portalId: 1 } };
    if (area !== 'crm' || version !== '2026-03') return refusal(404, 'OBJECT_NOT_FOUND', 'no such resource');
    const known = objects.get(type) ?? [];
    objects.set(type, known);
    if (method === 'POST' && rest.join('/') === 'batch/upsert') {
      const { inputs } = body as unknown as { inputs: { idProperty: string; id: string; properties: { [name: string]: Json } }[] };
      return { status: 200, body: { status: 'COMPLETE', results: inputs.map((input) => upsert(known, input)) } };
    }
    if (method === 'POST' && rest[0] === 'search') {
      const { after, limit } = body as { after?: string | null; limit: number };
      return page(known, Number(after ?? 0), limit);
    }
    if (method === 'PUT') {
      associations.add([type, ...rest].join('/'));
      return { status: 200, body: { status: 'COMPLETE' } };
    }
    const [id] = rest;
    if (id === undefined) return page(known, Number(query.get('after') ?? 0), Number(query.get('limit') ?? 10));
    const property = query.get('idProperty');
    const found = known.find((one) => (property === null ? one.id : one.properties[property]) === id);
    if (found === undefined) return refusal(404, 'OBJECT_NOT_FOUND', 'no such object');
    if (method === 'DELETE') known.splice(known.indexOf(found), 1);
    return method === 'DELETE' ? { status: 204 } : { status: 200, body: found };
  };
  return { handle, objects, associations };
}

function upsert(
  known: CrmObject[],
  { idProperty, id, properties }: { idProperty: string; id: string; properties: { [name: string]: Json } },
): { [field: string]: Json } {
  const found = known.find((one) => one.properties[idProperty] === id);
  if (found !== undefined) Object.assign(found.properties, properties);
  else known.push({ id: String(known.length + 1), properties: { [idProperty]: id, ...properties } });
  const object = found ?? known.at(-1)!;
  return { id: object.id, properties: object.properties, new: found === undefined };
}

function page(known: readonly CrmObject[], start: number, limit: number): StandInResponse {
  const end = start + limit;
  const paging = end < known.length ? { paging: { next: { after: String(end) } } } : {};
  return { status: 200, body: { results: known.slice(start, end), total: known.length, ...paging } };
}
