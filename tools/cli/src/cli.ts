import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { apply } from './apply.command.js';
import { cancel, operations, redeliver, replay } from './bulk.command.js';
import type { BulkOptions } from './bulk.command.js';
import { connectionOf, credentialsFile, defaultUrl } from './connection.js';
import type { Connection, ConnectionOptions } from './connection.js';
import { openDeadLetters, retryDeadLetter, skipDeadLetter } from './dead-letters.command.js';
import { show, tail } from './events.command.js';
import { CliFailure, exitCodes } from './failure.js';
import { get, kindNamed } from './get.command.js';

/** The parts of the process that the command uses. */
export interface CliProcess {
  environment: NodeJS.ProcessEnv;
  directory: string;
  print: (text: string) => void;
  /** Prints errors and progress, which are not the result. */
  note: (text: string) => void;
  /** Aborted by Ctrl-C. */
  signal: AbortSignal;
}

/** Runs the command line, given without node and script. Resolves with its exit code. */
export async function run(args: readonly string[], cliProcess: CliProcess): Promise<number> {
  try {
    await commandLine(cliProcess).parseAsync(args, { from: 'user' });
    return exitCodes.ok;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.unusable;
    if (!(error instanceof CliFailure)) throw error;
    cliProcess.note(error.message);
    return exitCodes[error.kind];
  }
}

function commandLine({ environment, directory, print, note, signal }: CliProcess): Command {
  const program = new Command('millrace')
    .description('Makes Millrace what your files say, and shows what happens in it.')
    .option('--url <address>', `where Millrace is; else MILLRACE_URL, else ${defaultUrl}`)
    .option('--key <key>', `API key; else MILLRACE_API_KEY, else ${credentialsFile}`)
    .option('--tenant <name>', 'the tenant to act in, with an operator’s key; else MILLRACE_TENANT')
    .exitOverride()
    .configureOutput({ writeOut: (text) => print(text.trimEnd()), writeErr: (text) => note(text.trimEnd()) });
  const connection = (): Connection => connectionOf(program.opts<ConnectionOptions>(), environment, directory);

  program
    .command('apply')
    .description('make the tenant what the documents say; prints the difference first')
    .requiredOption('-f, --file <path...>', 'files or directories of YAML or JSON documents')
    .option('--dry-run', 'print the difference, and change nothing', false)
    .action((options: { file: string[]; dryRun: boolean }) => apply(connection(), { files: options.file, dryRun: options.dryRun }, print));

  program
    .command('get')
    .description('print documents as they can be applied again; secrets are encrypted')
    .argument('<kind>', 'Tenant, Source, Flow or Destination')
    .argument('[name]', 'one document; default: all of the kind')
    .addOption(new Option('-o, --output <format>', 'how to print').choices(['yaml', 'json']).default('yaml'))
    .action((kind: string, name: string | undefined, { output }: { output: 'yaml' | 'json' }) =>
      get(connection(), { kind: kindNamed(kind), name, output }, print),
    );

  const events = program.command('events').description('what happens to events');
  events
    .command('tail')
    .description('print changes of events as they happen, until Ctrl-C')
    .option('--customer <key>', 'only this customer’s')
    .option('--type <type>', 'only this type, or a prefix such as invoice.*')
    .action((filter: { customer?: string; type?: string }) => tail(connection(), filter, { print, note, signal }));
  events
    .command('get')
    .description('print one event and everything that happened to it')
    .argument('<id>', 'evt_…')
    .action((id: string) => show(connection(), id, print));

  const output = { print, note, signal };
  bulkCommand(program, 'replay', 'run flows again on the events whose runs were given up, each customer’s oldest first')
    .option('--events', 'on events, whatever became of them, instead', false)
    .option('--source <name...>', 'with --events: only of these sources')
    .option('--type <type>', 'with --events: only this type, or a prefix such as invoice.*')
    .option('--state <state...>', 'with --events: only in these states', upperCase)
    .action(async (options: BulkOptions) => replay(connection(), options, output));
  bulkCommand(program, 'redeliver', 'try deliveries again that were parked, each customer’s oldest first')
    .option('--destination <name>', 'only to this destination')
    .option('--state <state>', 'deliveries in this state instead of those that were parked', upperCase)
    .action(async (options: BulkOptions) => redeliver(connection(), options, output));

  const bulk = program.command('operations').description('bulk replays and redeliveries, the last started first');
  bulk
    .command('list', { isDefault: true })
    .description('print the newest 20')
    .action(() => operations(connection(), print));
  bulk
    .command('cancel')
    .description('order nothing more; what was ordered goes on')
    .argument('<id>', 'bop_…')
    .action((id: string) => cancel(connection(), id, print));

  const deadLetters = program.command('dead-letters').description('what was given up and waits for an operator, the last first');
  deadLetters
    .command('list', { isDefault: true })
    .description('print the newest 20, with what waits behind them')
    .option('--customer <key>', 'only this customer’s')
    .option('--code <code>', 'only what was given up for this reason')
    .action((filter: { customer?: string; code?: string }) => openDeadLetters(connection(), filter, output));
  deadLetters
    .command('retry')
    .description('try again what failed; when it succeeds, what waits behind it goes on in order')
    .argument('<id>', 'dlq_…')
    .action((id: string) => retryDeadLetter(connection(), id, print));
  deadLetters
    .command('skip')
    .description('give it up for good; what waits behind it goes on in order')
    .argument('<id>', 'dlq_…')
    .action((id: string) => skipDeadLetter(connection(), id, print));
  return program;
}

/** Adds a bulk command with the options that both have. */
function bulkCommand(program: Command, name: string, description: string): Command {
  return program
    .command(name)
    .description(description)
    .option('--from <moment>', 'only what was parked (with --events: received; with a state: created) from here on', moment)
    .option('--before <moment>', 'only what was before this', moment)
    .option('--customer <key>', 'only this customer’s')
    .option('--flow <name>', 'only of this flow')
    .option('--code <code>', 'only what was parked for this reason')
    .option('--rate <number>', 'how many a second, 1 to 1000', wholeNumber, 50)
    .option('--dry-run', 'print how many it would be, and do nothing', false)
    .option('--wait', 'show the progress, and end when it is over', false);
}

function moment(text: string): string {
  const at = new Date(text);
  if (Number.isNaN(at.getTime())) throw new InvalidArgumentError('It is a moment such as 2026-11-21T08:00:00Z.');
  return at.toISOString();
}

function wholeNumber(text: string): number {
  if (!/^\d{1,6}$/.test(text)) throw new InvalidArgumentError('It is a whole number.');
  return Number(text);
}

function upperCase(text: string, before: string[] = []): string[] {
  return [...before, text.toUpperCase()];
}
