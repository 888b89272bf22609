import { Command, CommanderError, Option } from 'commander';
import { apply } from './apply.command.js';
import { connectionOf, credentialsFile, defaultUrl } from './connection.js';
import type { Connection, ConnectionOptions } from './connection.js';
import { show, tail } from './events.command.js';
import { Failure, exitCodes } from './failure.js';
import { get, kindNamed } from './get.command.js';

/** What the command sees of the process it runs in. */
export interface Surroundings {
  environment: NodeJS.ProcessEnv;
  directory: string;
  print: (text: string) => void;
  /** For what is not the result: errors and progress. */
  note: (text: string) => void;
  /** Aborted by Ctrl-C. */
  signal: AbortSignal;
}

/** Runs the command line, without node and script, and resolves to its exit code. */
export async function run(args: readonly string[], surroundings: Surroundings): Promise<number> {
  try {
    await commandLine(surroundings).parseAsync(args, { from: 'user' });
    return exitCodes.ok;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.unusable;
    if (!(error instanceof Failure)) throw error;
    surroundings.note(error.message);
    return exitCodes[error.kind];
  }
}

function commandLine({ environment, directory, print, note, signal }: Surroundings): Command {
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
  return program;
}
