// `npm start`, `npm run start:APP`: builds what changed, then runs the app that nest-cli.json names so; without a name, the one at its root.
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { checkRequirements } from './requirements.mjs';

checkRequirements();
const { root, projects } = JSON.parse(readFileSync('nest-cli.json', 'utf8'));
const name = process.argv[2] ?? Object.keys(projects).find((one) => projects[one].root === root);
const project = projects[name];
if (project === undefined) {
  process.stderr.write(`nest-cli.json has no app '${name}'. It has ${Object.keys(projects).join(', ')}.\n`);
  process.exit(2);
}
const { build } = await import('./compile.mjs');
await build();
await import(pathToFileURL(resolve('dist', `${project.entryFile}.js`)).href);
