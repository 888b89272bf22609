import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { CliFailure } from '../failure.js';
import type { Output } from '../output.js';
import { templatePage } from './template.page.js';
import { filesOf } from './template.files.js';
import type { TemplateValues } from './template.files.js';
import { templateNamed } from './template.js';

/** `millrace init`: writes a template into a folder of the user's own. @throws CliFailure if there is something already */
export function init(
  name: string,
  folder: string | undefined,
  { directory, values, output }: { directory: string; values: TemplateValues; output: Output },
): void {
  const template = templateNamed(name);
  const target = resolve(directory, folder ?? name);
  requireEmpty(target, folder ?? name);
  const shown = relative(directory, target) || '.';
  const files = new Map([['README.md', templatePage(template, { folder: shown })], ...filesOf(template, values)]);
  for (const [path, text] of files) {
    mkdirSync(join(target, dirname(path)), { recursive: true });
    writeFileSync(join(target, path), text, { flag: 'wx' });
    output.result({ file: join(shown, path) }, join(shown, path));
  }
  if (values.systems === undefined)
    output.note('\nThe connections name no system yet: put yours in the place of ${systems}, ${token} and ${mailPort} in documents.');
  output.note(
    [
      '',
      ...(values.systems === undefined ? [] : [`Run it:   npm run -s millrace -- templates run ${asFolder(shown)}`]),
      `Test it:  npm run -s millrace -- flows test ${join(shown, 'tests.yaml')}`,
      `Apply it: npm run -s millrace -- apply -f ${join(shown, 'documents')}`,
    ].join('\n'),
  );
}

/** A folder and no name of a template. */
function asFolder(shown: string): string {
  return shown.includes('/') || shown.startsWith('.') ? shown : `./${shown}`;
}

/** @throws CliFailure */
function requireEmpty(target: string, given: string): void {
  if (!existsSync(target)) return;
  if (!statSync(target).isDirectory()) throw new CliFailure(`${given} is a file: give the name of a new folder`, 'unusable');
  if (readdirSync(target).length > 0)
    throw new CliFailure(`${given} is not empty, and nothing in it is overwritten: give the name of a new folder`, 'unusable');
}
