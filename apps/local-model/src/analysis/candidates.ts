import { contentStems } from '../text/english.js';

/** An item of a list in the input that could be recommended. */
export interface Candidate {
  readonly id: string | number;
  readonly title: string;
  /** How much it has in common with the rest of the input: 0 to 1, of the best one 1. */
  readonly score: number;
  readonly reason: string;
}

const listFields = new Set(['candidates', 'catalogue', 'catalog', 'choices', 'options', 'products']);
const titleFields = ['title', 'name', 'label'];
const candidateLimit = 200;
const textLimit = 2_000;
const depthLimit = 20;

type Fields = Readonly<Record<string, unknown>>;

/**
 * The items of the first list of objects with an `id` that is called candidates, products or the like, by the words that they share with the rest of
 * the input; rare words count more. An item whose id stands in the rest is known already and is left out. Without a shared word, all in their order.
 */
export function rankCandidates(inputs: readonly string[]): readonly Candidate[] {
  const values = inputs.map(parsed).filter((value) => value !== undefined);
  const list = listIn(values, 0);
  if (list === undefined) return [];
  const items = list.filter(isItem).slice(0, candidateLimit);
  const rest = new Set<string | number>();
  const counts = counted(contentStems(textsIn(values, list, rest).slice(0, textLimit * 10)));
  const candidates = items
    .filter(({ id }) => !rest.has(id))
    .map((item) => ({ item, stems: new Set(contentStems(textsIn(item, undefined, new Set()).slice(0, textLimit))) }));
  const holders = counted(candidates.flatMap(({ stems }) => [...stems]));
  const weightOf = (stem: string): number =>
    Math.log(1 + (counts.get(stem) ?? 0)) * Math.log(1 + candidates.length / (holders.get(stem) ?? 1));
  const scored = candidates.map(({ item, stems }) => {
    const shared = [...stems].filter((stem) => counts.has(stem)).toSorted((one, other) => weightOf(other) - weightOf(one));
    return { item, shared, sum: shared.reduce((sum, stem) => sum + weightOf(stem), 0) / Math.sqrt(stems.size || 1) };
  });
  const best = Math.max(...scored.map(({ sum }) => sum));
  const wanted = best > 0 ? scored.filter(({ sum }) => sum > 0).toSorted((one, other) => other.sum - one.sum) : scored;
  return wanted.map(({ item, shared, sum }) => ({
    id: item.id,
    title: titleOf(item),
    score: best > 0 ? Math.round((sum / best) * 100) / 100 : 0,
    reason: reasonOf(shared, item),
  }));
}

function parsed(input: string): unknown {
  if (!/^\s*[[{]/.test(input)) return undefined;
  try {
    // oxlint-disable-next-line no-restricted-properties -- the model computes with doubles, and stops at a depth of its own
    return JSON.parse(input) as unknown;
  } catch {
    return undefined;
  }
}

function listIn(value: unknown, depth: number): readonly unknown[] | undefined {
  if (depth > depthLimit || typeof value !== 'object' || value === null) return undefined;
  const parts = Object.entries(value);
  const own = Array.isArray(value) ? undefined : parts.find(([name, part]) => listFields.has(name) && isList(part));
  if (own !== undefined) return own[1] as unknown[];
  for (const [, part] of parts) {
    const found = listIn(part, depth + 1);
    if (found !== undefined) return found;
  }
  return undefined;
}

function isList(value: unknown): boolean {
  return Array.isArray(value) && value.some(isItem);
}

function isItem(value: unknown): value is Fields & { id: string | number } {
  return typeof value === 'object' && value !== null && 'id' in value && (typeof value.id === 'string' || typeof value.id === 'number');
}

/** The words that people wrote, in all fields but ids. @param ids is given every id that stands there */
function textsIn(value: unknown, without: unknown, ids: Set<string | number>, depth = 0): string {
  if (value === without || depth > depthLimit) return '';
  if (typeof value === 'string') return value;
  if (typeof value !== 'object' || value === null) return '';
  return Object.entries(value)
    .map(([name, part]) => {
      const isId = /^(?:id|\w+(?:Id|_id)|ids)$/.test(name) || (Array.isArray(value) && typeof part === 'string' && !/\s/.test(part));
      if (isId && (typeof part === 'string' || typeof part === 'number')) ids.add(part);
      return /^(?:id|\w+(?:Id|_id))$/.test(name) ? '' : textsIn(part, without, ids, depth + 1);
    })
    .join('\n');
}

function counted(stems: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const stem of stems) counts.set(stem, (counts.get(stem) ?? 0) + 1);
  return counts;
}

function titleOf(item: Fields & { id: string | number }): string {
  const title = titleFields.map((field) => item[field]).find((one) => typeof one === 'string');
  return typeof title === 'string' ? title : String(item.id);
}

/** Names up to three words as the item has them, not their stems. */
function reasonOf(shared: readonly string[], item: Fields): string {
  if (shared.length === 0) return 'Nothing is known that speaks for one item more than for another.';
  const words = textsIn(item, undefined, new Set()).match(/\p{L}+/gu) ?? [];
  const named = shared.slice(0, 3).map((stem) => words.find((word) => contentStems(word).includes(stem))?.toLowerCase() ?? stem);
  return `It shares ${listed([...new Set(named)].map((word) => `“${word}”`))} with what is known.`;
}

function listed(words: readonly string[]): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`;
}
