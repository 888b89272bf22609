import { DescriptionRefused } from '../description.js';

export type OpenApiObject = Readonly<Record<string, unknown>>;

export interface OpenApi {
  readonly root: OpenApiObject;
  /** Schemas of 3.1 are JSON Schema; those of 3.0 differ in a few words. */
  readonly isThreeOne: boolean;
}

/** The most references that lead from one to the next. */
const longestChain = 20;

/** The value as an object; an empty one if it is none. */
export function asObject(value: unknown): OpenApiObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as OpenApiObject) : {};
}

/** The target of a reference within the document; the value itself if it is none. @throws DescriptionRefused */
export function resolved(document: OpenApi, value: unknown): unknown {
  let found = value;
  for (let steps = 0; typeof asObject(found)['$ref'] === 'string'; steps += 1) {
    const reference = asObject(found)['$ref'] as string;
    if (steps === longestChain) throw refused(`has a reference that leads back to itself: ${reference}`);
    found = targetOf(document, reference);
  }
  return found;
}

/** @throws DescriptionRefused for a reference that leaves the document, or leads nowhere */
export function targetOf({ root }: OpenApi, reference: string): unknown {
  if (!reference.startsWith('#/'))
    throw refused(
      `refers to ${JSON.stringify(reference.slice(0, 100))}, which is outside of it: bundle it into one document; nothing is fetched`,
    );
  let found: unknown = root;
  for (const part of reference.slice(2).split('/')) {
    const key = decodeURIComponent(part).replaceAll('~1', '/').replaceAll('~0', '~');
    found = typeof found === 'object' && found !== null && Object.hasOwn(found, key) ? (found as OpenApiObject)[key] : undefined;
  }
  if (found === undefined) throw refused(`refers to ${JSON.stringify(reference.slice(0, 100))}, which it does not have`);
  return found;
}

function refused(message: string): DescriptionRefused {
  return new DescriptionRefused(['openapi', 'document'], message);
}
