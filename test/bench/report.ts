/** One line of the table in docs/performance.md: a figure of ours beside its baseline in the same run. */
export interface Row {
  what: string;
  /** What it is held against, with its figure. */
  baseline: string;
  millrace: string;
  ratio: string;
  /** What docs/performance.md asks for; empty where nothing is asked. */
  target?: string;
}

/** A table for docs/performance.md, ready to be pasted. */
export function tableOf(results: readonly { command: string; rows: readonly Row[] }[]): string {
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
