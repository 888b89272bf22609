import { existsSync } from 'node:fs';

/** Says in a sentence what is missing, where Node would print twenty lines. It must run on any Node, so it imports nothing that is new. */
export function checkRequirements() {
  // On Linux, npm scripts find the pinned Node 24 in node_modules/.bin, so what is installed is looked at first.
  if (!existsSync('node_modules/@typescript/native/package.json')) stop('Millrace is not installed yet. Run `npm install` first.');
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > 22 || (major === 22 && minor >= 22)) return;
  stop(
    `Millrace runs on Node 24 (22.22 or newer will do); this is ${process.versions.node}. ` +
      'On Linux, `npm install` brings the right one along: was it run with --omit=optional? Elsewhere, install Node 24.',
  );
}

function stop(sentence) {
  process.stderr.write(`${sentence}\n`);
  process.exit(1);
}
