import { marksOf } from '#libs/contracts';
import type { Document } from '#libs/contracts';
import { isListed, nearestNames } from './model-names.js';
import type { DocumentProblem } from './document-problem.js';

/** The models of one provider, as it listed them. */
export interface ModelList {
  /** The address of the provider. */
  readonly address: string;
  /** Empty if it lists none; null if it never answered. */
  readonly models: readonly string[] | null;
  /** When it listed them, as a date or in ISO 8601; null if it never did. */
  readonly listedAt: Date | string | null;
}

/** Comparing a name with all that are listed takes up to 30 ms. */
const mostSuggestions = 5;
const longestQuote = 100;

/**
 * Doubts about names of models that no provider of the installation lists. There are none if one does not list its models, because it may have any.
 * Models of a tenant's own providers are not looked at.
 */
export function unlistedModels(document: Document, lists: readonly ModelList[]): DocumentProblem[] {
  const listed = lists.flatMap(({ models }) => models ?? []);
  if (lists.length === 0 || lists.some(({ models }) => models === null || models.length === 0)) return [];
  const suggestions = new Map<string, string>();
  return marksOf(document).flatMap(({ mark, value, path }) => {
    const name = value as string;
    if (mark.kind !== 'model' || isListed(name, listed) || hasProvider(document, path)) return [];
    if (!suggestions.has(name)) suggestions.set(name, suggestions.size < mostSuggestions ? suggestionFor(name, listed) : '');
    const asked = lists
      .map(({ address, listedAt }) => `${address} at ${listedAt instanceof Date ? listedAt.toISOString() : listedAt}`)
      .join(' and ');
    const doubt = `is listed by no model provider, so runs would fail at this step with model.refused: ${name.slice(0, longestQuote)}`;
    return [{ path, message: `${doubt}${suggestions.get(name)} (asked: ${asked}; \`millrace models\` prints all names)` }];
  });
}

/** True if the model is one of a provider of the tenant. */
function hasProvider(document: Document, path: readonly string[]): boolean {
  let place: unknown = document;
  for (const key of path.slice(0, -1)) place = (place as Record<string, unknown>)[key];
  return (place as { provider?: string }).provider !== undefined;
}

function suggestionFor(name: string, listed: readonly string[]): string {
  const nearest = nearestNames(name, listed);
  if (nearest.length > 0) return `; did you mean ${nearest.join(' or ')}?`;
  return `; listed are ${listed.slice(0, 3).join(', ')}${listed.length > 3 ? ` and ${listed.length - 3} more` : ''}`;
}
