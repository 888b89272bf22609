// Says in one sentence what a syntax error would say in twenty lines. On Linux, npm scripts find the pinned Node 24 in node_modules/.bin.
const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 22)) {
  console.error(`Millrace runs on Node 24 (22.22 or newer will do); this is ${process.versions.node}.`);
  console.error('On Linux, npm install brings the right one along: was it run with --omit=optional? Elsewhere, install Node 24.');
  process.exit(1);
}
