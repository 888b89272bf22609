/** HTML that is safe to send: every text in it was escaped. Only {@link html} makes it. */
export class Markup {
  constructor(readonly text: string) {}
}

type Part = Markup | readonly Markup[] | string | number;

/** HTML from a template. What stands in the template is taken as it is, and each inserted text is escaped, in elements and in quoted attributes. */
export function html(template: TemplateStringsArray, ...parts: Part[]): Markup {
  return new Markup(template.map((text, at) => text + (at < parts.length ? written(parts[at]!) : '')).join(''));
}

function written(part: Part): string {
  if (part instanceof Markup) return part.text;
  return typeof part === 'object' ? part.map(({ text }) => text).join('') : escaped(String(part));
}

function escaped(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
