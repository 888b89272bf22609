import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { isAbsolute, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { z } from 'zod';
import { json } from '#libs/contracts';
import { CliFailure } from '../failure.js';

const sample = z
  .strictObject({
    /** In a few words, for the table. */
    what: z.string().min(1),
    /** The file of a CloudEvent, from the folder of the template. */
    event: z.string().min(1).optional(),
    /** The Schedule that is fired instead. */
    schedule: z.string().min(1).optional(),
    /** The decision of a person on each review that it leads to; without it, none is expected. */
    review: z.union([z.enum(['approved', 'rejected']), z.strictObject({ corrected: json })]).optional(),
    /** Members that the decision has. */
    decision: json,
    /** The lines that the sample systems tell of it, in any order; `*` stands for any text. */
    effects: z.array(z.string().min(1)),
  })
  .refine(({ event, schedule }) => (event === undefined) !== (schedule === undefined), 'must have exactly one of event, schedule');
export type TemplateSample = z.infer<typeof sample>;

const templateFile = z.strictObject({
  title: z.string().min(1).max(80),
  /** One sentence. */
  summary: z.string().min(1).max(300),
  /** Paragraphs about the flow, in Markdown. */
  about: z.string().min(1),
  /** A list in Markdown: what to replace by something of one's own. */
  yours: z.string().min(1),
  /** The objects that sample systems have before the samples are sent, by the name of the system. */
  systems: z.record(z.string(), json),
  samples: z.array(sample).min(1),
});

/** A flow to begin with: documents, sample events, what comes of them, and tests. */
export interface FlowTemplate extends z.infer<typeof templateFile> {
  readonly name: string;
  readonly folder: string;
  /** True for a copy in a folder of the user's own. */
  readonly isOwn: boolean;
}

/** The folder of the templates that Millrace brings along; the build has it beside the compiled code. */
const templatesFolder = fileURLToPath(new URL('../../../../templates', import.meta.url));
const descriptionFile = 'template.yaml';

/** The names of the templates that Millrace brings along. */
export function templateNames(): string[] {
  return readdirSync(templatesFolder)
    .filter((name) => existsSync(join(templatesFolder, name, descriptionFile)))
    .toSorted();
}

/** @throws CliFailure that names the templates if there is none of this name */
export function templateNamed(name: string): FlowTemplate {
  const names = templateNames();
  if (!names.includes(name)) throw new CliFailure(`There is no template ${name}. There are ${names.join(', ')}`, 'unusable');
  return { ...readTemplate(join(templatesFolder, name), name), isOwn: false };
}

/** The template of a name, or that in a folder, which has a `template.yaml`. @throws CliFailure */
export function templateAt(nameOrFolder: string, directory: string): FlowTemplate {
  const folder = isAbsolute(nameOrFolder) ? nameOrFolder : resolve(directory, nameOrFolder);
  const isFolder = statSync(join(folder, descriptionFile), { throwIfNoEntry: false })?.isFile() === true;
  const isPath = /[./\\]/.test(nameOrFolder);
  if (isPath && !isFolder)
    throw new CliFailure(`There is no ${join(nameOrFolder, descriptionFile)}: millrace init makes such a folder`, 'unusable');
  if (isPath || (isFolder && !templateNames().includes(nameOrFolder))) return { ...readTemplate(folder, nameOrFolder), isOwn: true };
  return templateNamed(nameOrFolder);
}

function readTemplate(folder: string, name: string): Omit<FlowTemplate, 'isOwn'> {
  const file = join(folder, descriptionFile);
  let value: unknown;
  try {
    value = parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new CliFailure(`${file} cannot be read: ${(error as Error).message.split('\n', 1)[0]}`, 'unusable');
  }
  const { data, error } = templateFile.safeParse(value);
  if (error !== undefined) throw new CliFailure(`${file} is no template:\n${z.prettifyError(error)}`, 'refused');
  return { ...data, name, folder };
}
