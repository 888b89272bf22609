import { Readable } from 'node:stream';
import { run } from './cli.js';

/** Parts of the process of a command, for a test. */
export interface RunInTest {
  directory: string;
  environment?: Record<string, string> | undefined;
  /** Standard input. */
  input?: string | Buffer | AsyncIterable<Buffer> | undefined;
  signal?: AbortSignal | undefined;
  /** Called for each text as it is printed. */
  onPrint?: (text: string) => void;
  onNote?: (text: string) => void;
  /** Called for each part of a line on standard error. */
  onWrite?: (text: string) => void;
}

/** Runs the command as its operator would. */
export async function runInTest(
  args: readonly string[],
  { directory, environment = {}, input = '', signal = new AbortController().signal, onPrint, onNote, onWrite }: RunInTest,
): Promise<{ code: number; out: string; notes: string }> {
  const printed: string[] = [];
  const noted: string[] = [];
  const code = await run(args, {
    environment,
    directory,
    print: (text) => {
      printed.push(text);
      onPrint?.(text);
    },
    note: (text) => {
      noted.push(text);
      onNote?.(text);
    },
    write: (text) => onWrite?.(text),
    input: () => (typeof input === 'string' || Buffer.isBuffer(input) ? Readable.from([Buffer.from(input)]) : input),
    signal,
  });
  return { code, out: printed.join('\n'), notes: noted.join('\n') };
}
