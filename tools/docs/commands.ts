import { readFileSync } from 'node:fs';

/** A command that a page tells its reader to run. */
export interface DocumentedCommand {
  /** Page and line. */
  readonly where: string;
  /** Its words, without quotes and without what a shell adds: assignments, redirections. */
  readonly words: readonly string[];
}

const programs = /^(kubectl|millrace|kafka-[a-z-]+\.sh|docker|SELECT)$/;

/** The commands in code spans and blocks of a page, each part of a pipe or chain by itself. */
export function commandsIn(page: string): DocumentedCommand[] {
  let isBlock = false;
  return readFileSync(page, 'utf8')
    .split('\n')
    .flatMap((line, at) => {
      if (line.trimStart().startsWith('```')) {
        isBlock = !isBlock;
        return [];
      }
      const texts = isBlock ? [line] : [...line.matchAll(/`([^`]+)`/g)].map(([, code]) => code!);
      return texts.flatMap((text) => partsOf(text).map((words) => ({ where: `${page}:${at + 1}`, words })));
    });
}

/** `export KEY=$(npm run -s millrace -- keys create x) | sort # a comment` is the command `millrace keys create x`, and `sort`, which is none of ours. */
function partsOf(text: string): string[][] {
  const bare = text
    .replace(/\s#\s.*$/, '')
    .replace(/^\s*(?:export )?[A-Z_]+=\$\((.*)\)\s*$/, '$1')
    .trim();
  if (bare.startsWith('SELECT ')) return [['SELECT', bare]];
  return wordsOf(bare)
    .reduce<string[][]>(
      (parts, word) => (/^(\||&&|;)$/.test(word) ? [...parts, []] : [...parts.slice(0, -1), [...parts.at(-1)!, word]]),
      [[]],
    )
    .map((words) => (words.slice(0, 5).join(' ').startsWith('npm run -s millrace --') ? ['millrace', ...words.slice(5)] : words))
    .map(withoutRedirection)
    .filter(([program]) => programs.test(program ?? ''));
}

function withoutRedirection(words: string[]): string[] {
  const at = words.findIndex((word) => /^[<>]/.test(word));
  return at < 0 ? words : words.slice(0, at);
}

/** Splits as a shell does, as far as pages need it: quotes keep words together. */
function wordsOf(text: string): string[] {
  return [...text.matchAll(/(?:"[^"]*"|'[^']*'|[^\s"'])+/g)].map(([word]) => word.replaceAll(/"([^"]*)"|'([^']*)'/g, '$1$2'));
}
