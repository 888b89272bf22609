import { RE2JS } from 're2js';

const compiled = new WeakMap<RegExp, RE2JS>();

/**
 * The pattern for the linear engine; compiled once per pattern.
 * @throws Error where it needs backtracking (a backreference or a lookahead)
 */
export function linear(pattern: RegExp): RE2JS {
  let found = compiled.get(pattern);
  if (found === undefined) {
    const flags = (pattern.ignoreCase ? RE2JS.CASE_INSENSITIVE : 0) | (pattern.multiline ? RE2JS.MULTILINE : 0);
    found = RE2JS.compile(RE2JS.translateRegExp(pattern.source), flags);
    compiled.set(pattern, found);
  }
  return found;
}

/**
 * Replaces `RegExp` inside JSONata, as far as JSONata uses it. JavaScript's own engine backtracks: a hostile event could keep the process busy
 * for minutes, and no time limit can interrupt it. RE2 takes time linear in the text.
 */
export class LinearRegExp {
  lastIndex = 0;
  private readonly pattern: RE2JS;

  constructor(pattern: RegExp) {
    this.pattern = linear(pattern);
  }

  exec(text: string): RegExpExecArray | null {
    if (this.lastIndex > text.length) return null;
    const matcher = this.pattern.matcher(text);
    if (!matcher.find(this.lastIndex)) return null;
    this.lastIndex = matcher.end();
    const groups = Array.from({ length: matcher.groupCount() + 1 }, (_, at) => matcher.group(at) ?? undefined);
    return Object.assign(groups, { index: matcher.start(), input: text }) as RegExpExecArray;
  }
}
