/** One line of the table in docs/performance.md: a figure and its baseline from the same run. */
export interface BenchRow {
  what: string;
  /** The figure of the baseline and its name. */
  baseline: string;
  millrace: string;
  ratio: string;
  /** The target in docs/performance.md, if there is one. */
  target?: string;
}

/** A table for docs/performance.md, ready to be pasted. */
export function tableOf(results: readonly { command: string; rows: readonly BenchRow[] }[]): string {
  const lines = results.flatMap(({ command, rows }) =>
    rows.map(({ what, baseline, millrace, ratio, target = '–' }) => [what, baseline, millrace, ratio, target, `\`${command}\``]),
  );
  const head = ['what', 'baseline', 'Millrace', 'ratio', 'target', 'command'];
  return [head, head.map(() => '---'), ...lines].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

/** A rate, such as `28 416 /s`. */
export function perSecond(rate: number): string {
  const digits = rate < 100 ? 1 : 0;
  return `${rate.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits }).replaceAll(',', ' ')} /s`;
}
