/**
 * `npm run words`: the rules of plain language that a program can check (`npm run words -- libs/messaging` checks one folder).
 * Prints every violation with its place; ends with status 1 if there is one.
 *
 * - A doc comment is readable without the line before it, so it does not open with a relative or leaning word.
 * - Private members are `private`, not `#private`: parameter properties can only be the former.
 * - An exported type name is declared once in the whole tree: a word means one thing.
 * - A commit subject has at most 72 characters (checked since the commit that introduced the rule).
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** The parent of the first commit that the rule for subjects applies to. */
const subjectsSince = 'e051636';
const leaningOpening = /^\s*(?:\/\*\*|\*)\s+((?:What|Where|Of|As|Those|Whoever|Whether|Nobody|That|Which|Whom|Whose)\b.*)/;
const privateName = /(?:^|[\s.])#[a-z]\w*\s*(?:[(;=:?!.,)[\]]|$)/;
const exportedType = /^export (?:declare |abstract )*(?:interface|type|class|enum) ([A-Z]\w*)/;

const folders = process.argv.slice(2);
const inScope = (file: string): boolean => folders.length === 0 || folders.some((folder) => file.startsWith(folder));
const git = (...args: string[]): string[] => execFileSync('git', args, { encoding: 'utf8' }).split('\n').filter(Boolean);

const problems: string[] = [];
const declarations = new Map<string, string[]>();

for (const file of git('ls-files', '-co', '--exclude-standard', '*.ts')) {
  if (/\/generated\/|^test\/boundaries\/fixture\//.test(file)) continue;
  for (const [index, line] of readFileSync(file, 'utf8').split('\n').entries()) {
    const place = `${file}:${index + 1}`;
    const opening = leaningOpening.exec(line);
    if (opening && inScope(file)) problems.push(`${place}: the comment leans on the line before it: ${opening[1]!.slice(0, 80)}`);
    const isComment = /^\s*(?:\/\/|\/?\*)/.test(line);
    if (!isComment && privateName.test(line.replaceAll(/(['"`]).*?\1/g, '')) && inScope(file))
      problems.push(`${place}: private members are \`private\`, not #`);
    const name = exportedType.exec(line)?.[1];
    if (name !== undefined) declarations.set(name, [...(declarations.get(name) ?? []), place]);
  }
}

for (const [name, places] of declarations) {
  if (places.length > 1 && places.some(inScope)) problems.push(`${places.join(', ')}: ${name} is declared ${places.length} times`);
}

try {
  for (const subject of git('log', '--no-merges', '--format=%h %s', `${subjectsSince}..HEAD`)) {
    const [, hash, text] = /^(\S+) (.*)$/.exec(subject)!;
    if (text!.length > 72) problems.push(`${hash}: the subject has ${text!.length} characters, at most 72: ${text}`);
  }
} catch {
  console.log(`The history does not reach back to ${subjectsSince}: commit subjects were not checked.`);
}

for (const problem of problems) console.log(problem);
if (problems.length > 0) console.log(`${problems.length} problems`);
process.exit(problems.length === 0 ? 0 : 1);
