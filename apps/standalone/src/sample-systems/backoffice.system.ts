import { z } from 'zod';
import { json } from '#libs/contracts';
import type { Json } from '#libs/json';
import { clipped, trim } from './sample.system.js';
import type { SampleSystem } from './sample.system.js';

const seed = z.record(z.string().regex(/^\//), json);

/** An HTTP API as many companies have one: resources that are read, set and deleted by their path. Queries are ignored. */
export function backofficeSystem(): SampleSystem {
  const resources = new Map<string, Json>();
  const pathOf = (segments: readonly string[]): string => `/${segments.map(encodeURIComponent).join('/')}`;
  return {
    handle: ({ method, segments, body }) => {
      const path = pathOf(segments);
      const found = resources.get(path);
      if (method === 'PUT' && body !== undefined) {
        resources.set(path, body);
        trim(resources);
        return { status: found === undefined ? 201 : 200, body: body as object };
      }
      if (method === 'GET' && path === '/') return { status: 200, body: { resources: [...resources.keys()] } };
      if (found === undefined)
        return { status: method === 'GET' || method === 'DELETE' ? 404 : 405, body: { message: 'no such resource' } };
      if (method === 'DELETE') resources.delete(path);
      return method === 'DELETE' ? { status: 204 } : { status: method === 'GET' ? 200 : 405, body: found as object };
    },
    effectsOf: ({ method, segments, body }, { status }) => {
      if (status >= 300 || (method !== 'PUT' && method !== 'DELETE')) return [];
      const path = pathOf(segments);
      return [method === 'PUT' ? `backoffice ${path} = ${clipped(JSON.stringify(body))}` : `backoffice ${path} deleted`];
    },
    put: (content) => {
      for (const [path, value] of Object.entries(seed.parse(content))) resources.set(path, value);
    },
    content: () => Object.fromEntries(resources),
  };
}
