import { z } from 'zod';
import { json } from '#libs/contracts';
import { vendorStandIns } from '#libs/connectors';
import type { Json } from '#libs/json';
import { clipped, keptObjects } from './sample.system.js';
import type { SampleSystem } from './sample.system.js';

/** By type: objects by the property that identifies them. */
const seed = z.record(z.string(), z.strictObject({ idProperty: z.string(), objects: z.array(z.record(z.string(), json)) }));
const upserts = z.looseObject({
  inputs: z.array(z.looseObject({ id: z.string(), idProperty: z.string(), properties: z.record(z.string(), json) })),
});

export async function hubSpotSystem(): Promise<SampleSystem> {
  const { handle, objects } = await vendorStandIns.hubspot();
  return {
    handle,
    effectsOf: ({ method, segments, body }, { status, body: answer }) => {
      const [, , , type = '', ...rest] = segments;
      const { data } = upserts.safeParse(body);
      if (method !== 'POST' || status !== 200 || rest.join('/') !== 'batch/upsert' || data === undefined) return [];
      const { results } = answer as unknown as { results: readonly { new: boolean }[] };
      const known = objects.get(type) ?? [];
      known.splice(0, known.length - keptObjects);
      return data.inputs.map(
        ({ id, properties }, at) =>
          `HubSpot ${type} ${id} ${results[at]?.new === true ? 'created' : 'changed'}: ${clipped(fieldsOf(properties))}`,
      );
    },
    put: (content) => {
      for (const [type, { idProperty, objects: given }] of Object.entries(seed.parse(content))) {
        const kept = (objects.get(type) ?? []).filter((known) => !given.some((one) => one[idProperty] === known.properties[idProperty]));
        const highest = Math.max(0, ...kept.map(({ id }) => Number(id)));
        objects.set(type, [...kept, ...given.map((properties, at) => ({ id: String(highest + at + 1), properties: { ...properties } }))]);
      }
    },
    content: () => Object.fromEntries([...objects].map(([type, known]) => [type, known.map(({ id, properties }) => ({ id, properties }))])),
  };
}

function fieldsOf(properties: { readonly [name: string]: Json }): string {
  return Object.entries(properties)
    .map(([name, value]) => `${name} ${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join(', ');
}
