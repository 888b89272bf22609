/** `npm run docs:check`: every path and every npm command that a document names exists. Prints what does not, and where. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: Record<string, string> };
const builtIn = new Set(['install', 'ci', 'start', 'test']);
const problems: string[] = [];

for (const file of execFileSync('git', ['ls-files', '-co', '--exclude-standard', '*.md'], { encoding: 'utf8' }).trim().split('\n')) {
  const lines = readFileSync(file, 'utf8').split('\n');
  for (const [index, line] of lines.entries()) {
    const report = (what: string): void => void problems.push(`${file}:${index + 1}: ${what}`);
    for (const [, path] of line.matchAll(/`((?:apps|libs|docs|test|tools|\.ci)\/[\w./-]+)`/g)) {
      if (!existsSync(path!)) report(`there is no ${path}`);
    }
    for (const [, target] of line.matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)(?:#[^)]*)?\)/g)) {
      if (!existsSync(join(dirname(file), target!))) report(`the link leads nowhere: ${target}`);
    }
    for (const [, command] of line.matchAll(/npm run (?:-s )?([\w:-]+)/g)) {
      if (scripts[command!] === undefined) report(`there is no npm run ${command}`);
    }
    for (const [, command] of line.matchAll(/`npm (\w+)/g)) {
      if (command !== 'run' && !builtIn.has(command!) && scripts[command!] === undefined) report(`there is no npm ${command}`);
    }
  }
}

for (const problem of problems) console.log(problem);
process.exit(problems.length === 0 ? 0 : 1);
