import { endOfString } from './json-scan.js';

/**
 * The values of an object's members as they were written, by name; of a name that is given twice the last one, as `JSON.parse` has it.
 * @param text JSON whose value is an object
 */
export function memberTexts(text: string): Map<string, string> {
  return new Map(
    parts(text).map((member) => {
      const start = member.indexOf('"');
      const end = endOfString(member, start);
      const name = JSON.parse(member.slice(start, end + 1)) as string;
      return [name, member.slice(member.indexOf(':', end) + 1).trim()];
    }),
  );
}

/**
 * The elements of an array as they were written.
 * @param text JSON whose value is an array
 */
export function elementTexts(text: string): string[] {
  return parts(text).map((element) => element.trim());
}

/** The texts between the commas of the outermost array or object. */
function parts(text: string): string[] {
  const found: string[] = [];
  let depth = 0;
  let start = 0;
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at]!;
    if (character === '"') at = endOfString(text, at);
    else if (character === '[' || character === '{') {
      depth += 1;
      if (depth === 1) start = at + 1;
    } else if (character === ']' || character === '}') {
      depth -= 1;
      if (depth > 0) continue;
      const last = text.slice(start, at);
      return found.length === 0 && last.trim() === '' ? [] : [...found, last];
    } else if (character === ',' && depth === 1) {
      found.push(text.slice(start, at));
      start = at + 1;
    }
  }
  return found;
}
