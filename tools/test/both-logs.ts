import { globSync, readFileSync } from 'node:fs';

/** A test file whose behaviour depends on the log. */
export interface BothLogsFile {
  readonly file: string;
  /** Why the log matters, from the file's tag. */
  readonly reason: string;
}

const tag = /@module-tag both-logs\b\s*(.*?)\s*(?:\*\/|$)/m;

/** The test files that begin with the tag `both-logs` (vitest.config.ts) and a reason. */
export function bothLogsFiles(): BothLogsFile[] {
  return globSync('{apps,libs,test}/**/*.test.ts')
    .toSorted()
    .flatMap((file) => {
      const [, reason] = tag.exec(readFileSync(file, 'utf8')) ?? [];
      return reason === undefined ? [] : [{ file, reason }];
    });
}
