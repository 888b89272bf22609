/** The streams that a process prints to. */
export interface OutputStreams {
  /** Standard output. */
  print: (text: string) => void;
  /** Standard error. */
  note: (text: string) => void;
  /** Standard error, without the end of a line. */
  write: (text: string) => void;
}

/** Prints for one command: its results on standard output, everything else on standard error. */
export class Output {
  private hasPrinted = false;
  /** True while standard error is within a line. */
  private isInLine = false;

  constructor(
    private readonly streams: OutputStreams,
    /** True for `--json`. */
    private readonly isJson: boolean,
  ) {}

  /** Prints one result, or one entry of a list: the value as JSON on one line with `--json`, else the text. */
  result(value: unknown, text: string): void {
    this.hasPrinted = true;
    this.endLine();
    this.streams.print(this.isJson ? JSON.stringify(value) : shown(text));
  }

  /** True until the first result. */
  get isEmpty(): boolean {
    return !this.hasPrinted;
  }

  /** Prints progress, a summary or a hint. */
  note(text: string): void {
    this.endLine();
    this.streams.note(shown(text));
  }

  /** Prints more of a text that is not known to its end yet. */
  draft(text: string): void {
    this.isInLine = !text.endsWith('\n');
    this.streams.write(shown(text));
  }

  private endLine(): void {
    if (this.isInLine) this.streams.write('\n');
    this.isInLine = false;
  }
}

/** Text with its control characters written as escapes, line breaks and tabs aside: what partners send must not move the cursor or change a title. */
export function shown(text: string): string {
  return text.replace(controls, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

// eslint-disable-next-line no-control-regex
const controls = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;
