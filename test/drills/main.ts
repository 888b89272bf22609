/** `npm run drill -- NAME`: carries out an outage or an operation of docs/operations.md on running processes under load, and counts what it cost. */
import { parsedOrExit } from '../options.js';
import type { Drill } from './drill.js';
import { regions } from './regions.js';
import { restore } from './restore.js';

const drills: Readonly<Record<string, Drill>> = { restore, regions };

const [name = '', ...args] = process.argv.slice(2);
const drill = drills[name];
if (drill === undefined) {
  console.error(`npm run drill -- ${Object.keys(drills).join(' | ')}`);
  process.exit(2);
}
const carryOut = parsedOrExit(`npm run drill -- ${name} ${drill.usage}`, () => drill.prepare(args));
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));
const passed = await carryOut();
console.log(passed ? 'passed' : 'FAILED');
process.exit(passed ? 0 : 1);
