// `npm start`, `npm run start:APP`: runs the built app that nest-cli.json names so; without a name, the one at its root.
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

const { root, projects } = JSON.parse(readFileSync('nest-cli.json', 'utf8'));
const name = process.argv[2] ?? Object.keys(projects).find((one) => projects[one].root === root);
const project = projects[name];
if (project === undefined) {
  console.error(`nest-cli.json has no app '${name}'. It has ${Object.keys(projects).join(', ')}.`);
  process.exit(2);
}
await import(pathToFileURL(resolve('dist', `${project.entryFile}.js`)).href);
