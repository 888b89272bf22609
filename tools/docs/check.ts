/**
 * `npm run docs:check`: every path and every npm command that a document names exists, its GraphQL fits the schema, every dependency has its row in
 * the decisions, and every property of a document and every place of the schema has a description. Prints what does not hold, and where.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { buildSchema, parse, validate } from 'graphql';
import { undescribedProperties, undescribedSdl } from './descriptions.js';

const { scripts, dependencies, devDependencies } = JSON.parse(readFileSync('package.json', 'utf8')) as Record<
  string,
  Record<string, string>
>;
const builtIn = new Set(['install', 'ci', 'start', 'test']);
const sdlFile = 'docs/schema.graphql';
const sdl = readFileSync(sdlFile, 'utf8');
const schema = buildSchema(sdl);
const problems: string[] = [];

const known = new Map<string, ReadonlySet<string>>();
/** The anchors that a page has by its headings, as the forges make them. */
function anchorsOf(page: string): ReadonlySet<string> {
  const headings = [...readFileSync(page, 'utf8').matchAll(/^#+ (.+)$/gm)].map(([, heading]) => heading!.toLowerCase());
  const anchors = known.get(page) ?? new Set(headings.map((heading) => heading.replaceAll(/[^\p{L}\p{N} _-]/gu, '').replaceAll(' ', '-')));
  known.set(page, anchors);
  return anchors;
}

for (const file of execFileSync('git', ['ls-files', '-co', '--exclude-standard', '*.md'], { encoding: 'utf8' }).trim().split('\n')) {
  const lines = readFileSync(file, 'utf8').split('\n');
  let inCode = false;
  for (const [index, line] of lines.entries()) {
    const report = (what: string): void => void problems.push(`${file}:${index + 1}: ${what}`);
    for (const [, path] of line.matchAll(/`((?:apps|libs|docs|test|tools|\.ci)\/[\w./-]+)`/g)) {
      if (!existsSync(path!)) report(`there is no ${path}`);
    }
    if (line.trimStart().startsWith('```')) inCode = !inCode;
    for (const [, target, anchor] of inCode ? [] : line.matchAll(/\]\((?!https?:|mailto:)([^)#\s]*)(?:#([^)]*))?\)/g)) {
      const page = target === '' ? file : join(dirname(file), target!);
      if (!existsSync(page)) report(`the link leads nowhere: ${target}`);
      else if (anchor !== undefined && page.endsWith('.md') && !anchorsOf(page).has(anchor)) report(`${page} has no heading #${anchor}`);
    }
    for (const [body] of line.matchAll(/\{"query":.*\}(?=')/g)) {
      const { query } = JSON.parse(body) as { query: string };
      for (const { message } of validate(schema, parse(query))) report(`GraphQL: ${message}`);
    }
    for (const [, command] of line.matchAll(/npm run (?:-s )?([\w:-]+)/g)) {
      if (scripts?.[command!] === undefined) report(`there is no npm run ${command}`);
    }
    for (const [, command] of line.matchAll(/`npm (\w+)/g)) {
      if (command !== 'run' && !builtIn.has(command!) && scripts?.[command!] === undefined) report(`there is no npm ${command}`);
    }
  }
}

const decisions = 'docs/decisions/2026-11-21-dependencies.md';
const rows = readFileSync(decisions, 'utf8');
for (const name of Object.keys({ ...dependencies, ...devDependencies })) {
  if (!rows.includes(`\`${name}\``) && !rows.includes(`\`${name.split('/')[0]}/*\``))
    problems.push(`${decisions}: no row says what ${name} is for`);
}

const documents = 'docs/documents.schema.json';
for (const path of undescribedProperties(JSON.parse(readFileSync(documents, 'utf8'))))
  problems.push(`${documents}: ${path} has no description`);
for (const path of undescribedSdl(sdl)) problems.push(`${sdlFile}: ${path} has no description`);

for (const problem of problems) console.log(problem);
process.exit(problems.length === 0 ? 0 : 1);
