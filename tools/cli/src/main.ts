import { run } from './cli.js';
import { exitCodes } from './failure.js';

const stop = new AbortController();
process.once('SIGINT', () => stop.abort());
process.once('SIGTERM', () => stop.abort());
// Without its reader, such as `head`, a command that goes on for ever ends; any other comes to its own end, for its exit status.
process.stdout.on('error', ({ code, message }: NodeJS.ErrnoException) => {
  if (code === 'EPIPE') return stop.abort();
  process.stderr.write(`Standard output cannot be written: ${message}\n`);
  process.exit(exitCodes.unusable);
});
process.stderr.on('error', () => undefined);

process.exitCode = await run(process.argv.slice(2), {
  environment: process.env,
  directory: process.cwd(),
  columns: process.stdout.columns,
  print: (line) => process.stdout.write(`${line}\n`),
  note: (line) => process.stderr.write(`${line}\n`),
  write: (text) => process.stderr.write(text),
  input: () => process.stdin as AsyncIterable<Buffer>,
  signal: stop.signal,
});
