/**
 * True if a provider that lists these names takes this one. Providers take more names than they list: without the prefix `models/` (Gemini) or the tag
 * `:latest` (Ollama), with a variant after a colon (OpenRouter), or any name that a listed pattern such as `openai/*` stands for (LiteLLM).
 */
export function isListed(name: string, listed: readonly string[]): boolean {
  const withoutVariant = name.slice(0, Math.max(0, name.lastIndexOf(':')));
  const forms = new Set([name, `models/${name}`, `${name}:latest`, withoutVariant]);
  return listed.some((each) => forms.has(each) || (each.endsWith('*') && name.startsWith(each.slice(0, -1))));
}

/** Names below this similarity have nothing to do with each other. */
const leastSimilarity = 0.5;

/** The listed names that are most similar to the given one, the nearest first. Empty if none is similar. */
export function nearestNames(given: string, listed: readonly string[], most = 3): string[] {
  const pairs = new Set(pairsOf(given));
  return listed
    .map((name) => ({ name, similarity: similarityOf(pairs, pairsOf(name)) }))
    .filter(({ similarity }) => similarity >= leastSimilarity)
    .toSorted((one, other) => other.similarity - one.similarity)
    .slice(0, most)
    .map(({ name }) => name);
}

/** The pairs of neighbouring letters and digits. Punctuation is left out, because providers differ in it. */
function pairsOf(name: string): string[] {
  const text = name.toLowerCase().replaceAll(/[^a-z0-9]/g, '');
  return Array.from({ length: Math.max(0, text.length - 1) }, (_, at) => text.slice(at, at + 2));
}

/** The part of all pairs that both names have (the coefficient of Sørensen and Dice), 0 to 1. */
function similarityOf(one: ReadonlySet<string>, other: readonly string[]): number {
  const shared = other.filter((pair) => one.has(pair)).length;
  return shared === 0 ? 0 : Math.min(1, (2 * shared) / (one.size + other.length));
}
