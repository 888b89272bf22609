import type { Json } from '#libs/json';
import { visibleText } from '#libs/prompts';
import { leavesOf, textsOf } from './input-texts.js';

/** The links and markup that texts of an output may have: those of the input, the instructions and the schema; none; any. */
export type MarkupPolicy = 'fromInput' | 'none' | 'any';

const mostProblems = 10;

/**
 * Endings by which names of hosts are recognised where nothing else makes them links. Programs that show texts turn such names into links. Endings that
 * are common in names of files, or words, are left out.
 */
const topLevels =
  'com|org|net|edu|gov|mil|int|info|biz|io|co|app|dev|xyz|top|site|online|shop|club|live|link|click|page|cloud|store|tech|space|website|ai|tv|cc|ws|eu|uk|de|fr|nl|ch|es|se|dk|cz|ru|ua|cn|jp|kr|br|tr|ir|example|test|onion';

/** A letter, a digit or a dash of a name of a host, whatever the script. */
const hostCharacter = '[\\p{L}\\p{M}\\p{N}_-]';
const labels = `(?:${hostCharacter}{1,63}\\.){1,8}`;
const notInHost = '(?<![\\p{L}\\p{M}\\p{N}_.@-])';
/** A further character of an address, which ends before white space and what encloses addresses in a text. */
const more = '[^\\s<>"\'`\\])}|]';

interface Kind {
  /** The words for it in problems. */
  readonly name: string;
  readonly pattern: RegExp;
}

const address = (pattern: string): Kind => ({ name: 'an address', pattern: new RegExp(pattern, 'giu') });

/** The constructs that are looked for. Each pattern takes a time in proportion to the text. */
const kinds: readonly Kind[] = [
  // Browsers take backslashes for slashes, and what begins with two slashes for an address.
  address(`(?:https?|wss?|ftp):[\\\\/]${more}+`),
  address(`(?<![\\p{L}\\p{N}])[a-z][a-z0-9+.-]{0,30}:[\\\\/]{2}${more}*`),
  address(`(?<![\\p{L}\\p{N}])(?:javascript|vbscript|data|mailto|tel|sms|file|blob|intent):${more}+`),
  address(`(?<![:\\\\/\\p{L}\\p{N}])//${labels}\\p{L}{2,63}${more}*`),
  address(`${notInHost}www\\d?\\.${hostCharacter}${more}*`),
  address(`${notInHost}${labels}\\p{L}{2,24}(?::\\d{1,5})?[/?#]${more}+`),
  address(`${notInHost}${labels}(?:${topLevels})(?![\\p{L}\\p{N}_-])`),
  { name: 'a mail address', pattern: new RegExp(`(?<![\\p{L}\\p{N}._%+-])[\\p{L}\\p{N}._%+-]+@${labels}\\p{L}{2,24}`, 'giu') },
  { name: 'a Markdown image', pattern: /!\[[^[\]]{0,500}/gu },
  { name: 'a Markdown link', pattern: /\]\(\s{0,20}[^\s()]{0,2000}/gu },
  { name: 'a Markdown link', pattern: /(?<=^|\n)[ \t>*-]{0,20}\[[^[\]\n]{1,500}\]:[ \t]{0,20}\S+/gu },
  { name: 'HTML', pattern: /<(?:[a-z][a-z0-9-]{0,60}(?=[\s/>]|$)|\/[a-z]|[!?])[^<>]{0,2000}>?/giu },
  { name: 'a mention', pattern: /<[@#][^<>\s]{1,100}>/gu },
];

const hiddenText = /[\u{E0000}-\u{E0FFF}\u202A-\u202E\u2066-\u2069]+/gu;

/** An address that goes on behind its host, so that its host is whole. */
const behindHost = /^(?:[a-z][a-z0-9+.-]*:[\\/]{2})?[\p{L}\p{M}\p{N}_.-]+(?::\d+)?[/?#]/iu;

/** Every construct has one of these, and few other texts have. */
const suspicious = /[:@<\]\\\u3002\uFF00-\uFFEF\u202A-\u202E\u2066-\u2069\u{E0000}-\u{E0FFF}]|\/\/|\.[^\s.]/u;

/** Checks that the texts of an output have no links and no markup but those that their reader has seen, or the flow has written. */
export class MarkupGate {
  private known: ReadonlySet<string> | undefined;
  private sorted: readonly string[] | undefined;

  /** @param allowed the input, and what the flow itself says to the model */
  constructor(
    private readonly policy: MarkupPolicy,
    private readonly allowed: readonly unknown[],
  ) {}

  problemsOf(output: Json): string[] {
    if (this.policy === 'any') return [];
    const problems = new Set<string>();
    for (const { pointer, value, isName } of leavesOf(output)) {
      if (typeof value !== 'string' || !suspicious.test(value)) continue;
      for (const { name, text } of constructsIn(value)) {
        if (this.isAllowed(text)) continue;
        const place = isName ? `a name within ${pointer === '' ? 'the answer' : pointer}` : pointer === '' ? 'the answer' : pointer;
        problems.add(`${place} must not have ${name}${this.policy === 'none' ? '' : ' that is not in the input'}`);
      }
      if (problems.size >= mostProblems) break;
    }
    return [...problems].slice(0, mostProblems);
  }

  private isAllowed(text: string): boolean {
    if (this.policy === 'none') return false;
    this.known ??= new Set(this.allowed.flatMap((value) => [...allowedBy(value)]));
    return this.known.has(text) || (behindHost.test(text) && this.isCutOff(text));
  }

  /** True if the text is the beginning of a known address: a summary may end within one. */
  private isCutOff(text: string): boolean {
    const sorted = (this.sorted ??= [...this.known!].toSorted());
    let [from, to] = [0, sorted.length];
    while (from < to) {
      const middle = (from + to) >> 1;
      if (sorted[middle]! < text) from = middle + 1;
      else to = middle;
    }
    return sorted[from]?.startsWith(text) === true;
  }
}

/** The constructs of a value, and the hosts that stand in its addresses: a host by itself carries nothing that its reader has not seen. */
function* allowedBy(value: unknown): Generator<string> {
  for (const text of textsOf(value)) {
    if (!suspicious.test(text)) continue;
    for (const { text: found } of constructsIn(text)) {
      yield found;
      const [, named] = /^(?:[a-z][a-z0-9+.-]*:)?(?:[\\/]{2})?(?:[^@/\\?#]*@)?([^@/\\?#:]+)/iu.exec(found) ?? [];
      if (named !== undefined) yield named.toLowerCase();
    }
  }
}

/** The links and the markup in a text. Letters of full width, and dots of Chinese and Japanese, count as what browsers take them for. */
function* constructsIn(text: string): Generator<{ name: string; text: string }> {
  const plain = visibleText(text).normalize('NFKC').replaceAll('\u3002', '.').replaceAll('&amp;', '&');
  for (const { name, pattern } of kinds) {
    for (const [found] of plain.matchAll(pattern)) yield { name, text: comparable(found) };
  }
  for (const [found] of text.matchAll(hiddenText)) yield { name: 'hidden text', text: found };
}

/** The end of a sentence is no part of a link in it, and a host is the same in any case. In a path, the case of letters can carry a message. */
function comparable(found: string): string {
  const end = found.trim().replace(/[.,;:!?*_~/]{1,8}$/, '');
  return /^[\p{L}\p{M}\p{N}_.@-]+$/u.test(end) ? end.toLowerCase() : end;
}
