const gap = '  ';
/** The shares of the columns in the width. */
const shares = [0.22, 0.4, 0.38];
const leastWidth = 60;

/** A table of three columns whose rows are printed one after the other, with long cells on several lines. */
export class Table {
  private readonly widths: readonly number[];
  private hasHead = false;

  constructor(
    private readonly titles: readonly [string, string, string],
    width: number,
  ) {
    const room = Math.max(leastWidth, width) - gap.length * (shares.length - 1);
    this.widths = shares.map((share) => Math.floor(share * room));
  }

  /** The lines of a row, with those of the head before the first one. */
  row(cells: readonly string[]): string {
    const head = this.hasHead ? [] : [this.line(this.titles), this.line(this.widths.map((width) => '─'.repeat(width)))];
    this.hasHead = true;
    const wrapped = cells.map((cell, at) => cell.split('\n').flatMap((line) => wrap(line, this.widths[at]!)));
    const height = Math.max(...wrapped.map(({ length }) => length));
    return [...head, ...Array.from({ length: height }, (_, at) => this.line(wrapped.map((lines) => lines[at] ?? '')))].join('\n');
  }

  private line(cells: readonly string[]): string {
    return cells
      .map((cell, at) => cell.padEnd(this.widths[at]!))
      .join(gap)
      .trimEnd();
  }
}

/** Breaks a text at spaces, and a word that is too long within. Lines after the first are indented. */
function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ').flatMap((one) => pieces(one, width - 2))) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = `  ${word}`;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}

function pieces(word: string, width: number): string[] {
  return word.match(new RegExp(`.{1,${width}}`, 'gu')) ?? [''];
}
