import { join } from 'node:path';
import type { FlowDocument } from '#libs/contracts';
import { readDocument } from '#libs/documents';
import { readDocuments } from '../document.files.js';
import { pictureOf } from './flow.picture.js';
import type { FlowTemplate } from './template.js';

/** The flows of a template. */
export function flowsOf({ folder }: FlowTemplate): FlowDocument[] {
  return readDocuments([join(folder, 'documents', 'flow.yaml')]).flatMap(({ value }) => {
    const read = readDocument(value);
    return 'document' in read && read.document.kind === 'Flow' ? [read.document] : [];
  });
}

/** The page of a template in Markdown. @param options.folder where a copy of it is; undefined: it is the one that Millrace brings along */
export function templatePage(template: FlowTemplate, options: { folder?: string; heading?: string } = {}): string {
  const { name, title, summary, about, yours, samples } = template;
  const { folder, heading = '#' } = options;
  const run = folder === undefined ? name : folder.includes('/') || folder.startsWith('.') ? folder : `./${folder}`;
  const rows = samples.map(
    ({ what, decision, effects }) =>
      `| ${cell(what)} | ${cell(membersOf(decision))} | ${effects.map((effect) => cell(effect)).join('<br>') || '–'} |`,
  );
  const commands = [
    `npm run -s millrace -- templates run ${run}`,
    ...(folder === undefined
      ? [`npm run -s millrace -- init ${name}`]
      : [`npm run -s millrace -- flows test ${join(folder, 'tests.yaml')}`]),
  ];
  return [
    `${heading} ${title}`,
    '',
    summary,
    '',
    '```mermaid',
    flowsOf(template).map(pictureOf).join('\n'),
    '```',
    '',
    about.trim(),
    '',
    'While `npm start` runs, in another terminal:',
    '',
    '```sh',
    ...commands,
    '```',
    '',
    '| sample | decision | effect |',
    '| --- | --- | --- |',
    ...rows,
    '',
    'To make it your own, replace:',
    '',
    yours.trim(),
    '',
  ].join('\n');
}

function membersOf(decision: unknown): string {
  if (typeof decision !== 'object' || decision === null || Array.isArray(decision)) return valueOf(decision);
  return Object.entries(decision)
    .map(([member, value]) => `${member} ${valueOf(value)}`)
    .join(', ');
}

function valueOf(value: unknown): string {
  if (Array.isArray(value)) return value.length === 0 ? 'none' : value.map(membersOf).join('; ');
  return typeof value === 'object' && value !== null ? membersOf(value) : String(value);
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ').replaceAll('*', '…').replaceAll('<', '&lt;');
}
