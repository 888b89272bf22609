import type { Output } from '../output.js';
import { templateNamed, templateNames } from './template.js';

/** `millrace templates`: the flows to begin with. */
export function templates(output: Output): void {
  const all = templateNames().map(templateNamed);
  const width = Math.max(...all.map(({ name }) => name.length));
  for (const { name, title, summary } of all) output.result({ name, title, summary }, `${name.padEnd(width)}  ${summary}`);
  output.note(
    '\nTry one, while npm start runs:  npm run -s millrace -- templates run NAME\nTake one as your own:           npm run -s millrace -- init NAME',
  );
}
