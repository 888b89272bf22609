import type { DraftWritten } from '#libs/contracts';
import { counter } from '#libs/tracing';

/** Characters that a process keeps: of one draft, of the drafts of one tenant, and of all. */
const mostKept = { ofDraft: 262_144, ofTenant: 4 * 1_048_576, ofAll: 16 * 1_048_576 };
/** A draft that did not grow for so long is forgotten: longer than a caller waits. */
const keptForMs = 30_000;
/** Characters of one event of a stream. */
const mostOfEvent = 4_096;

const skipped = counter(
  'millrace_draft_characters_skipped_total',
  'Characters of drafts that a caller who follows them did not get, because it reads too slowly or they were lost before.',
  {},
);

/** The place in a draft up to which a caller has it. Drafts of one event are ordered by fence and number. */
export interface DraftPlace {
  readonly fence: number;
  readonly number: number;
  readonly at: number;
}

/** The next event of a caller. */
export type DraftNews = { readonly place: DraftPlace } & (
  | { readonly kind: 'restart' }
  | { readonly kind: 'draft'; readonly at: number; readonly text: string }
  | { readonly kind: 'skipped'; readonly at: number; readonly characters: number }
);

/** The draft of an event as this process knows it. */
interface KnownDraft {
  readonly tenant: string;
  readonly fence: number;
  readonly number: number;
  /** The place of the text: what stood before is not known, or not kept. */
  at: number;
  text: string;
  grownAtMs: number;
}

/**
 * The drafts that models write at the moment, whoever follows them: a caller may come again to another process than before. It keeps a part of all that
 * comes: the draft that grew least recently goes first, of the tenant that reached its share, else of all.
 */
export class Drafts {
  /** By event, in the order in which they grew. */
  private readonly known = new Map<string, KnownDraft>();
  private readonly charactersOf = new Map<string, number>();
  private characters = 0;
  private readonly listeners = new Map<string, Set<() => void>>();

  /** @param now a monotonic clock, in ms */
  constructor(private readonly now: () => number = () => performance.now()) {}

  take(part: DraftWritten): void {
    const { tenant, eventId, fence, number, at, text } = part;
    const key = keyOf(tenant, eventId);
    const before = this.known.get(key);
    const order = before === undefined ? 1 : compare(part, before);
    if (order < 0) return; // of a process that has lost the run
    const draft = before !== undefined && order === 0 ? before : { tenant, fence, number, at, text: '', grownAtMs: 0 };
    this.forget(key);
    const end = draft.at + draft.text.length;
    if (at > end) Object.assign(draft, { at, text }); // a part is missing
    else draft.text += text.slice(end - at);
    const over = draft.text.length - mostKept.ofDraft;
    if (over > 0) Object.assign(draft, { at: draft.at + over, text: draft.text.slice(over) });
    draft.grownAtMs = this.now();
    this.keep(key, draft);
    for (const listener of this.listeners.get(key) ?? []) listener();
  }

  /** Forgets all drafts: what comes meanwhile is not heard. */
  clear(): void {
    this.known.clear();
    this.charactersOf.clear();
    this.characters = 0;
  }

  /** Calls the listener whenever the draft has grown, or is void, until it is disposed. */
  listen(tenant: string, eventId: string, listener: () => void): Disposable {
    const key = keyOf(tenant, eventId);
    const listeners = this.listeners.get(key) ?? new Set();
    this.listeners.set(key, listeners.add(listener));
    return {
      [Symbol.dispose]: () => {
        listeners.delete(listener);
        if (listeners.size === 0) this.listeners.delete(key);
      },
    };
  }

  isKnown(tenant: string, eventId: string): boolean {
    return this.known.has(keyOf(tenant, eventId));
  }

  /**
   * The next event for a caller who has the draft up to a place; undefined if it has everything.
   * @param place undefined: the caller has nothing
   */
  after(tenant: string, eventId: string, place: DraftPlace | undefined): DraftNews | undefined {
    const draft = this.known.get(keyOf(tenant, eventId));
    if (draft === undefined) return undefined;
    const { fence, number } = draft;
    const order = place === undefined ? 0 : compare(draft, place);
    if (order < 0) return undefined; // this process will hear what the caller has heard already
    if (order > 0) return { kind: 'restart', place: { fence, number, at: 0 } };
    const from = place?.at ?? 0;
    if (from < draft.at) {
      const characters = draft.at - from;
      skipped.inc({}, characters);
      return { kind: 'skipped', at: from, characters, place: { fence, number, at: draft.at } };
    }
    const text = wholeCharacters(draft.text.slice(from - draft.at, from - draft.at + mostOfEvent));
    return text === '' ? undefined : { kind: 'draft', at: from, text, place: { fence, number, at: from + text.length } };
  }

  /** The event that names the rest of the draft, for a caller who is told no more of it; undefined if it has everything. */
  rest(tenant: string, eventId: string, place: DraftPlace | undefined): DraftNews | undefined {
    const next = this.after(tenant, eventId, place);
    if (next?.kind !== 'draft') return next;
    const { at, text } = this.known.get(keyOf(tenant, eventId))!;
    const end = at + text.length;
    skipped.inc({}, end - next.at);
    return { kind: 'skipped', at: next.at, characters: end - next.at, place: { ...next.place, at: end } };
  }

  private keep(key: string, draft: KnownDraft): void {
    this.known.set(key, draft);
    this.count(draft.tenant, draft.text.length);
    for (const [oldest, { grownAtMs, tenant }] of this.known) {
      const isOver = this.characters > mostKept.ofAll;
      const isOverShare = (this.charactersOf.get(draft.tenant) ?? 0) > mostKept.ofTenant;
      const isOld = this.now() - grownAtMs > keptForMs;
      if (!isOld && !isOver && !isOverShare) break;
      if (isOld || isOver || tenant === draft.tenant) this.forget(oldest);
    }
  }

  private forget(key: string): void {
    const draft = this.known.get(key);
    if (draft === undefined) return;
    this.known.delete(key);
    this.count(draft.tenant, -draft.text.length);
  }

  private count(tenant: string, change: number): void {
    this.characters += change;
    const left = (this.charactersOf.get(tenant) ?? 0) + change;
    if (left === 0) this.charactersOf.delete(tenant);
    else this.charactersOf.set(tenant, left);
  }
}

function keyOf(tenant: string, eventId: string): string {
  return `${tenant}/${eventId}`;
}

type DraftOrder = Pick<DraftPlace, 'fence' | 'number'>;

/** Below zero: the first one is void. */
function compare(a: DraftOrder, b: DraftOrder): number {
  return a.fence - b.fence || a.number - b.number;
}

/** The text without the first half of a character at its end, whose second half is to come. */
function wholeCharacters(text: string): string {
  return /[\uD800-\uDBFF]$/.test(text) ? text.slice(0, -1) : text;
}
