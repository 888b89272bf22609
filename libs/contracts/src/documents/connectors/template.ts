import { z } from 'zod';

/** A value in a template, such as `{input.id}`, or `{settings.account?}` where it may be missing. */
export interface TemplateValue {
  readonly path: readonly string[];
  readonly isOptional: boolean;
}

/** A part of a template: text as it is written, or a value. */
export type TemplatePart = string | TemplateValue;

const hole = /\{([^{}]*)\}/g;
const valuePath = /^([A-Za-z_][\w-]*(?:\.[A-Za-z_][\w-]*)+)(\?)?$/;

/** The parts of a template; undefined if a brace is left over or does not hold the path of a value. */
export function templateParts(text: string): readonly TemplatePart[] | undefined {
  const parts: TemplatePart[] = [];
  let end = 0;
  for (const { 0: whole, 1: inner = '', index } of text.matchAll(hole)) {
    const [, path, mark] = valuePath.exec(inner) ?? [];
    if (path === undefined) return undefined;
    parts.push(text.slice(end, index), { path: path.split('.'), isOptional: mark !== undefined });
    end = index + whole.length;
  }
  parts.push(text.slice(end));
  const texts = parts.filter((part) => typeof part === 'string');
  return texts.some((part) => /[{}]/.test(part)) ? undefined : parts.filter((part) => part !== '');
}

/** The schema of a template whose values stand below these names. None of them may be missing. */
export function template(...names: readonly string[]): z.ZodType<string, string> {
  return templateOf(names, false);
}

/** The schema of a template that yields nothing where a value with a question mark is missing. */
export function optionalTemplate(...names: readonly string[]): z.ZodType<string, string> {
  return templateOf(names, true);
}

function templateOf(names: readonly string[], takesOptional: boolean): z.ZodType<string, string> {
  return z
    .string()
    .max(2_000)
    .superRefine((text, context) => {
      const parts = templateParts(text);
      const example = `{${names[0]}.name}`;
      if (parts === undefined) return context.addIssue({ code: 'custom', message: `has a brace that is no value such as ${example}` });
      for (const part of parts) {
        if (typeof part === 'string') continue;
        const path = part.path.join('.');
        if (!names.includes(part.path[0]!))
          context.addIssue({ code: 'custom', message: `reads {${path}}, but there is only ${names.join(', ')}` });
        else if (part.isOptional && !takesOptional)
          context.addIssue({ code: 'custom', message: `has {${path}?}, but only a header is left out where a value is missing` });
      }
    });
}
