import { z } from 'zod';

/** A part of a template: text as it is written, or the path of a value, such as `["input", "id"]` of `{input.id}`. */
export type TemplatePart = string | readonly string[];

const hole = /\{([^{}]*)\}/g;
const valuePath = /^[A-Za-z_][\w-]*(?:\.[A-Za-z_][\w-]*)+$/;

/** The parts of a template; undefined if a brace is left over or does not hold the path of a value. */
export function templateParts(text: string): readonly TemplatePart[] | undefined {
  const parts: TemplatePart[] = [];
  let end = 0;
  for (const { 0: whole, 1: path = '', index } of text.matchAll(hole)) {
    if (!valuePath.test(path)) return undefined;
    parts.push(text.slice(end, index), path.split('.'));
    end = index + whole.length;
  }
  parts.push(text.slice(end));
  const texts = parts.filter((part) => typeof part === 'string');
  return texts.some((part) => /[{}]/.test(part)) ? undefined : parts.filter((part) => part !== '');
}

/** The schema of a template whose values stand below these names. */
export function template(...names: readonly string[]): z.ZodType<string, string> {
  return z
    .string()
    .max(2_000)
    .superRefine((text, context) => {
      const parts = templateParts(text);
      const example = `{${names[0]}.name}`;
      if (parts === undefined) return context.addIssue({ code: 'custom', message: `has a brace that is no value such as ${example}` });
      for (const part of parts) {
        if (typeof part === 'string' || names.includes(part[0]!)) continue;
        context.addIssue({ code: 'custom', message: `reads {${part.join('.')}}, but there is only ${names.join(', ')}` });
      }
    });
}
