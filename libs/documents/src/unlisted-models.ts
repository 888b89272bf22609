import { marksOf } from '#libs/contracts';
import type { Document } from '#libs/contracts';
import { isListed, nearestNames } from './model-names.js';
import type { DocumentProblem } from './document-problem.js';

/** The models of one provider, as it listed them. */
export interface ModelList {
  /** The ModelProvider document. Default: it is one of the installation. */
  readonly provider?: string | undefined;
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
 * Doubts about names of models that no provider lists which the document may mean: its own provider if it names one, else those of the installation. There
 * are none if one does not list its models, because it may have any, and if nothing is known of it.
 */
export function unlistedModels(document: Document, lists: readonly ModelList[]): DocumentProblem[] {
  const suggestions = new Map<string, string>();
  return marksOf(document).flatMap(({ mark, value, path }) => {
    if (mark.kind !== 'model') return [];
    const name = value as string;
    const provider = providerAt(document, path);
    const asked = lists.filter((list) => list.provider === provider);
    const listed = asked.flatMap(({ models }) => models ?? []);
    if (asked.length === 0 || asked.some(({ models }) => models === null || models.length === 0) || isListed(name, listed)) return [];
    const key = `${provider ?? ''}/${name}`;
    if (!suggestions.has(key)) suggestions.set(key, suggestions.size < mostSuggestions ? suggestionFor(name, listed) : '');
    const sources = asked
      .map(({ address, listedAt }) => `${address} at ${listedAt instanceof Date ? listedAt.toISOString() : listedAt}`)
      .join(' and ');
    const doubt = `is listed by no model provider, so runs would fail at this step with model.refused: ${name.slice(0, longestQuote)}`;
    return [{ path, message: `${doubt}${suggestions.get(key)} (asked: ${sources}; \`millrace models\` prints all names)` }];
  });
}

/** The provider that is named beside a model; undefined: that of the installation. */
function providerAt(document: Document, path: readonly string[]): string | undefined {
  let place: unknown = document;
  for (const key of path.slice(0, -1)) place = (place as Record<string, unknown>)[key];
  return (place as { provider?: string }).provider;
}

function suggestionFor(name: string, listed: readonly string[]): string {
  const nearest = nearestNames(name, listed);
  if (nearest.length > 0) return `; did you mean ${nearest.join(' or ')}?`;
  return `; listed are ${listed.slice(0, 3).join(', ')}${listed.length > 3 ? ` and ${listed.length - 3} more` : ''}`;
}
