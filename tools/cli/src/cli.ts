import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { deliveryStates, eventStates, requestOutcomes, scopes } from '#libs/contracts';
import { apply } from './apply.command.js';
import { cancel, operations, redeliver, replay } from './bulk.command.js';
import type { BulkOptions } from './bulk.command.js';
import { connectionOf, credentialsFile, defaultUrl, oneProcessFormOf } from './connection.js';
import type { Connection, ConnectionOptions } from './connection.js';
import { authorizeConnection, connections, disconnectConnection, testConnection } from './connections.command.js';
import { openDeadLetters, retryDeadLetter, skipDeadLetter } from './dead-letters.command.js';
import { decide } from './decide.command.js';
import type { DecideOptions } from './decide.command.js';
import { remove } from './delete.command.js';
import { redeliverOne } from './deliveries.command.js';
import { evaluate } from './evaluate.command.js';
import type { EvaluateOptions } from './evaluate.command.js';
import { list, replayEvents, show, tail } from './events.command.js';
import type { EventListOptions } from './events.command.js';
import { CliFailure, exitCodes } from './failure.js';
import type { FlowsTestOptions } from './flows-test.command.js';
import { documentNamed, get, kindNamed } from './get.command.js';
import { requireNames } from './given.names.js';
import type { GivenNames } from './given.names.js';
import { createKey, keys, revokeKey } from './keys.command.js';
import { connectors } from './connectors.command.js';
import { models, noLists, providerLists } from './models.command.js';
import { Output, shown } from './output.js';
import type { OutputStreams } from './output.js';
import type { RestoreOptions } from './restore.command.js';
import { approveReview, claimReview, correctReview, rejectReview, releaseReview, reviews, showReview } from './reviews.command.js';
import type { ReviewActOptions, ReviewListOptions } from './reviews.command.js';
import { cancelRun, runs, showRun } from './runs.command.js';
import type { RunListOptions } from './runs.command.js';
import { pulls, startPull } from './pulls.command.js';
import { requests, showRequest, takeRequest, testRequest, verifyRequest } from './requests.command.js';
import type { RequestListOptions } from './requests.command.js';
import { checkWebhooks, registerWebhook, unregisterWebhook, webhooks } from './webhooks.command.js';
import type { RegisterOptions } from './webhooks.command.js';
import { fireNow, nextTicks, schedules } from './schedules.command.js';
import { refreshStoredSecrets, storedSecrets } from './secrets.command.js';
import { send } from './send.command.js';
import type { SendOptions } from './send.command.js';
import { budgets, spend } from './spending.command.js';
import type { SpendOptions } from './spending.command.js';
import { backtest, cancelOne, estimate, promote, trials, tryOnEvent } from './trials.command.js';
import type { BacktestOptions, TryOptions } from './trials.command.js';
import { createTenant, requireTenant, showTenant } from './tenants.command.js';

/** The parts of the process that the command uses. */
export interface CliProcess extends OutputStreams {
  environment: NodeJS.ProcessEnv;
  directory: string;
  /** The width of the terminal in characters; undefined: there is none. */
  columns?: number | undefined;
  /** Standard input, as it comes. */
  input: () => AsyncIterable<Buffer>;
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
    cliProcess.note(shown(error.message));
    return exitCodes[error.kind];
  }
}

function commandLine({ environment, directory, columns = 120, print, note, write, input, signal }: CliProcess): Command {
  const program = new Command('millrace')
    .description('Makes Millrace what your files say, and shows what happens in it.')
    .option('--url <address>', `where Millrace is; else MILLRACE_URL; else, with the key, from the credentials file; else ${defaultUrl}`)
    .option(
      '--key <key>',
      'API key, or the operator’s; else MILLRACE_API_KEY; else the operator’s of the credentials file, for the address in it only',
    )
    .option('--tenant <name>', 'the tenant to act in, with the operator’s key; else MILLRACE_TENANT')
    .option('--json', 'print each result as one line of JSON', false)
    .addHelpText(
      'after',
      `\nThe credentials file is ${credentialsFile}, or credentials.json in the folder MILLRACE_DIRECTORY; npm start writes it. With it, commands act with the operator’s key, events send and decide with the tenant’s.\n` +
        'Results go to standard output, everything else to standard error.\nExit status: 0 done; 1 refused; 2 not possible: usage, credentials, connection.',
    )
    .exitOverride()
    .configureOutput({ writeOut: (text) => print(text.trimEnd()), writeErr: (text) => note(text.trimEnd()) });
  const connection = (door: 'query' | 'events' = 'query'): Connection =>
    connectionOf(program.opts<ConnectionOptions>(), { environment, directory, door });
  const output = (): Output => new Output({ print, note, write }, program.opts<{ json: boolean }>().json);
  /**
   * Runs a command that reads or changes what a tenant has. Where it finds nothing, a tenant that does not exist is told from an empty one, and so
   * are the names that its options give.
   */
  const inTenant = async (command: (at: Connection, out: Output) => Promise<void>, names: GivenNames = {}): Promise<void> => {
    const [at, out] = [connection(), output()];
    const failure = await command(at, out).then(
      () => undefined,
      (error: unknown) => error,
    );
    const isUnknown = failure instanceof CliFailure && failure.code?.endsWith('.unknown') === true;
    if (isUnknown || (failure === undefined && out.isEmpty)) await requireTenant(at);
    if (failure !== undefined) throw failure;
    if (out.isEmpty) await requireNames(at, names);
  };
  const watched = (): { output: Output; signal: AbortSignal } => ({ output: output(), signal });

  program
    .command('apply')
    .description('make the tenant what the documents say; prints the difference first')
    .requiredOption('-f, --file <path...>', 'files or directories of YAML or JSON documents')
    .option('--prune', 'remove the documents of the tenant that the files do not have', false)
    .option('--dry-run', 'print the difference, and change nothing', false)
    .action(({ file, dryRun, prune }: { file: string[]; dryRun: boolean; prune: boolean }) =>
      apply(connection(), { files: file, dryRun, prune }, output()),
    );

  program
    .command('validate')
    .description('check documents without a server, as far as they alone can say')
    .requiredOption('-f, --file <path...>', 'files or directories of YAML or JSON documents')
    .option('--models', 'also ask Millrace which models the providers list, its own and the tenant’s, and warn of others', false)
    .action(async ({ file, models: asksForModels }: { file: string[]; models: boolean }) => {
      // Only this command needs what compiles expressions and schemas, which takes longer to load than the rest.
      const { validate } = await import('./validate.command.js');
      await validate(file, asksForModels ? await providerLists(connection()) : noLists, output());
    });

  program
    .command('connectors')
    .description('print the connectors that connections can name, with their operations')
    .action(() => connectors(connection(), output()));
  program
    .command('models')
    .description('print the models that flows can name, as the model providers list them')
    .action(() => models(connection(), output()));

  program
    .command('get')
    .description('print documents as they can be applied again; secrets are encrypted')
    .argument('<kind>', 'such as Source, Flow, Destination, Schedule or Pull')
    .argument('[name]', 'one document; default: all of the kind')
    .addOption(new Option('-o, --output <format>', 'how to print; json: all as one value').choices(['yaml', 'json']).default('yaml'))
    .action((kind: string, name: string | undefined, { output: format }: { output: 'yaml' | 'json' }) =>
      inTenant((at, out) => get(at, { kind: kindNamed(kind), name, format }, out)),
    );

  program
    .command('delete')
    .description('take a document out of use; one that another names stays')
    .argument('<kind>', 'such as Source, Flow, Destination, Schedule or Pull')
    .argument('<name>')
    .action((kind: string, name: string) => inTenant((at, out) => remove(at, { kind: kindNamed(kind), name }, out)));

  const tenants = program.command('tenants').description('tenants');
  tenants
    .command('create')
    .description('create a tenant, with the operator’s key')
    .argument('<name>')
    .option('--display-name <text>', 'the name that people use; default: the name')
    .action((name: string, { displayName }: { displayName?: string }) => createTenant(connection(), { name, displayName }, output()));
  tenants
    .command('get')
    .description('print the tenant that the key acts in')
    .argument('[name]', 'with the operator’s key: this tenant')
    .action((name: string | undefined) => showTenant(connection(), name, output()));

  const apiKeys = program.command('keys').description('API keys of the tenant, the newest first');
  listOf(apiKeys)
    .description('print the newest 500, revoked ones too')
    .action(() => inTenant(keys));
  apiKeys
    .command('create')
    .description('create a key, and print it this once')
    .argument('<name>', 'tells people what the key is for')
    .addOption(
      new Option('--scope <scope...>', `what the key may do: ${scopes.join(', ')}`)
        .argParser(oneOf('scopes', scopes))
        .makeOptionMandatory(),
    )
    .option('--expires <moment>', 'default: never', moment)
    .action((name: string, { scope, expires }: { scope: string[]; expires?: string }) =>
      createKey(connection(), { name, scopes: scope, expiresAt: expires }, output()),
    );
  apiKeys
    .command('revoke')
    .description('end a key')
    .argument('<id>', 'as listed')
    .action((id: string) => inTenant((at, out) => revokeKey(at, id, out)));

  const events = program.command('events').description('what happens to events');
  events
    .command('list')
    .description('print events, the last received first')
    .option('--customer <key>', 'only this customer’s')
    .option('--source <name...>', 'only of these sources')
    .option('--type <type>', 'only this type, or a prefix such as invoice.*')
    .option('--state <state...>', `only in these states: ${eventStates.join(', ')}`, oneOf('states', eventStates))
    .option('--from <moment>', 'only what was received from here on', moment)
    .option('--before <moment>', 'only what was received before this', moment)
    .option('--first <number>', 'how many', positiveNumber, 20)
    .action((options: EventListOptions) => inTenant((at, out) => list(at, options, out), { source: options.source }));
  events
    .command('get')
    .description('print one event and everything that happened to it')
    .argument('<id>', 'evt_…')
    .action((id: string) => inTenant((at, out) => show(at, id, out)));
  events
    .command('replay')
    .description('run flows on these events again, whatever became of them: each run is a new one, with effects of its own')
    .argument('<id...>', 'evt_…, at most 100')
    .option('--flow <name>', 'only this flow; default: every flow that matches')
    .action((ids: string[], options: { flow?: string }) => inTenant((at, out) => replayEvents(at, ids, options, out)));
  events
    .command('tail')
    .description('print changes of events as they happen, until Ctrl-C')
    .option('--customer <key>', 'only this customer’s')
    .option('--type <type>', 'only this type, or a prefix such as invoice.*')
    .action(async (filter: { customer?: string; type?: string }) => {
      await requireTenant(connection()); // it would listen for ever
      await tail(connection(), filter, output(), signal);
    });
  events
    .command('send')
    .description('send CloudEvents with an API key of the tenant, and print their ids')
    .option(
      '-f, --file <path>',
      'JSON: one event, a list of them, or one a line, which is sent as soon as it is there; - for standard input',
    )
    .option('--source <name>', 'one event, without --file: the Source it comes through, of the scheme api-key')
    .option('--type <type>', 'its type')
    .option('--customer <key>', 'its subject, which is the customer unless the Source says otherwise')
    .option('--id <id>', 'its id: the same id at the same source is the same event; default: a random one')
    .option('--data <json>', 'its data')
    .action((options: SendOptions) => send(connection('events'), options, { output: output(), input, signal }));

  program
    .command('decide')
    .description('ask a flow for a decision with an API key of the tenant, and print it')
    .argument('<flow>', 'a flow with onRequest')
    .requiredOption('--customer <key>', 'whom it is about')
    .option('--data <json>', 'an object: what else the flow sees as event.data')
    .option('--id <id>', 'the same id at the same flow is the same request; default: a random one')
    .option('--wait <seconds>', 'how long to wait, 1 to 20; default: as the flow says', positiveNumber)
    .option('--draft', 'write what the model writes to standard error, unchecked, as it comes', false)
    .action((flow: string, options: DecideOptions) => decide(connection('events'), flow, options, { output: output(), signal }));
  program
    .command('evaluate')
    .description('print the value of an expression on a stored event, as a flow would compute it')
    .argument('<expression>', 'in JSONata; it sees event, steps and the names given')
    .option('--event <id>', 'evt_…; default: that of the run')
    .option('--run <id>', 'run_…: steps has what its steps stored')
    .option('--names <json>', 'an object: names that it also sees, such as item')
    .action((expression: string, options: EvaluateOptions) => inTenant((at, out) => evaluate(at, expression, options, out)));
  const ofRuns = program.command('runs').description('runs of flows');
  listOf(ofRuns)
    .description('print them, the last started first, with what those wait for that do not go on')
    .option('--customer <key>', 'only this customer’s')
    .option('--flow <name>', 'only of this flow')
    .addOption(new Option('--state <state>', 'only in this state').choices(['running', 'waiting', 'completed', 'failed']))
    .option('--first <number>', 'how many', positiveNumber, 20)
    .action((options: RunListOptions) => inTenant((at, out) => runs(at, options, out), { flow: options.flow }));
  ofRuns
    .command('get')
    .description('print one with its steps, what it waits for, its decision, and everything that happened in it')
    .argument('<id>', 'run_…')
    .action((id: string) => inTenant((at, out) => showRun(at, id, out)));
  ofRuns
    .command('cancel')
    .description(
      'end one that waits or is tried again and again: it fails with run.cancelled, and nothing of it is delivered; harmless twice',
    )
    .argument('<id>', 'run_…')
    .option('--reason <text>', 'why, for people who look at it')
    .action((id: string, options: { reason?: string }) => inTenant((at, out) => cancelRun(at, id, options, out)));

  program
    .command('deliveries')
    .description('deliveries to destinations')
    .command('redeliver')
    .description('try one again, under the key that it had; redeliver, without deliveries, tries all that were parked')
    .argument('<id>', 'dlv_…')
    .option('--even-if-taken', 'also where the destination took it, or may have, and might take it a second time', false)
    .action((id: string, options: { evenIfTaken: boolean }) => inTenant((at, out) => redeliverOne(at, id, options, out)));

  const ofRequests = program.command('requests').description('requests of partners as they were received, such as those that were refused');
  listOf(ofRequests)
    .description('print those that are kept, the last received first, with the reason of a refusal')
    .option('--source <name>', 'only of this source')
    .addOption(new Option('--outcome <outcome>', 'only those with this outcome').choices(requestOutcomes))
    .option('--code <code>', 'only those refused with this code, such as signature.mismatch')
    .option('--from <moment>', 'only what was received from here on', moment)
    .option('--before <moment>', 'only what was received before this', moment)
    .option('--first <number>', 'how many, at most 100', positiveNumber, 20)
    .action((options: RequestListOptions) =>
      inTenant((at, out) => requests(at, options, out), { source: options.source, code: options.code }),
    );
  ofRequests
    .command('get')
    .description('print one with its headers and its body, without secrets')
    .argument('<id>', 'req_…')
    .action((id: string) => inTenant((at, out) => showRequest(at, id, out)));
  ofRequests
    .command('verify')
    .description('say what its source makes of it now, such as after a secret was corrected; changes nothing')
    .argument('<id>', 'req_…')
    .action((id: string) => inTenant((at, out) => verifyRequest(at, id, out)));
  ofRequests
    .command('take')
    .description('have the events of a refused one taken, if its source accepts it now; harmless twice')
    .argument('<id>', 'req_…')
    .action((id: string) => inTenant((at, out) => takeRequest(at, id, out)));
  ofRequests
    .command('test')
    .description('send its events again as test events, which flows see with event.test')
    .argument('<id>', 'req_…')
    .action((id: string) => inTenant((at, out) => testRequest(at, id, out)));

  bulkCommand(
    program,
    'replay',
    'run flows again on the events whose runs were given up, each customer’s oldest first',
    '(with --events: received) ',
    '; with --events: this flow alone, on those that it takes or has run on',
  )
    .option('--events', 'on events, whatever became of them, instead', false)
    .option('--source <name...>', 'with --events: only of these sources')
    .option('--type <type>', 'with --events: only this type, or a prefix such as invoice.*')
    .option('--state <state...>', `with --events: only in these states: ${eventStates.join(', ')}`, oneOf('states', eventStates))
    .action(async (options: BulkOptions) => replay(connection(), options, watched()));
  bulkCommand(program, 'redeliver', 'try deliveries again that were parked, each customer’s oldest first', '(with --state: created) ')
    .option('--destination <name>', 'only to this destination')
    .option(
      '--state <state>',
      `deliveries in this state instead of those that were parked: ${deliveryStates.join(', ')}`,
      oneOf('states', deliveryStates),
    )
    .action(async (options: BulkOptions) => redeliver(connection(), options, watched()));

  const ofSchedules = program.command('schedules').description('schedules, which make events by the clock');
  listOf(ofSchedules)
    .description('print each with its last and its next tick')
    .action(() => inTenant(schedules));
  ofSchedules
    .command('next')
    .description('print the next five ticks of a schedule')
    .argument('<name>')
    .action((name: string) => inTenant((at, out) => nextTicks(at, name, out)));
  ofSchedules
    .command('fire')
    .description('make an event of a schedule now, beside its ticks, and print its id')
    .argument('<name>')
    .action((name: string) => inTenant((at, out) => fireNow(at, name, out)));

  program
    .command('budgets')
    .description('print the budgets for models, with what of them is spent')
    .action(() => inTenant(budgets));
  program
    .command('spend')
    .description('print what calls of models used and cost, the dearest first')
    .option('--from <day>', 'the first day in UTC, such as 2026-01-31; default: the first of the month', day)
    .option('--to <day>', 'the last day; default: today', day)
    .addOption(new Option('--by <dimension...>', 'what calls are told apart by; default: flow').choices(['day', 'flow', 'model']))
    .option('--flow <name>', 'only calls of this flow')
    .action((options: SpendOptions) => inTenant((at, out) => spend(at, options, out), { flow: options.flow }));

  const ofSecrets = program.command('secrets').description('secrets of documents that the secret store has');
  listOf(ofSecrets)
    .description('print each with its document, and what is wrong with it')
    .action(() => inTenant(storedSecrets));
  ofSecrets
    .command('refresh')
    .description('look into the secret store now, and print the documents that changed')
    .argument('[kind]', 'such as Source, Destination or Connection; with a name, only the secrets of this document are looked for')
    .argument('[name]')
    .action((kind: string | undefined, name: string | undefined) =>
      inTenant((at, out) => refreshStoredSecrets(at, out, documentNamed(kind, name))),
    );

  const ofSources = program.command('sources').description('sources, and their webhooks at partners');
  listOf(ofSources)
    .description('print the webhooks that were registered at partners')
    .action(() => inTenant(webhooks));
  ofSources
    .command('register')
    .description('register a webhook for a source at a partner, and put its secret into the source; harmless twice')
    .argument('<source>', 'made if there is none')
    .option('--connection <name>', 'by which it is registered; default: the one of the last time')
    .option('--event <event...>', 'as the system names them; default: those of the last time, or of the connector')
    .option('--target <name=value...>', 'what the connector asks for, such as owner=acme repo=shop')
    .option('--rotate', 'with a new secret; the one before still verifies', false)
    .action((source: string, options: RegisterOptions) => inTenant((at, out) => registerWebhook(at, source, options, out)));
  ofSources
    .command('check')
    .description('ask the partners whether they still have the webhooks, and end with 1 if one is missing, changed or unknown')
    .argument('[source]', 'default: all')
    .action((source: string | undefined) => inTenant((at, out) => checkWebhooks(at, source, out)));
  ofSources
    .command('unregister')
    .description('remove the webhook of a source at the partner; the source stays')
    .argument('<source>')
    .action((source: string) => inTenant((at, out) => unregisterWebhook(at, source, out)));

  const ofPulls = program.command('pulls').description('pulls, which read lists of other systems');
  listOf(ofPulls)
    .description('print each with how far it is and why it does not read')
    .action(() => inTenant(pulls));
  ofPulls
    .command('start')
    .description('begin a pass of a pull now')
    .argument('<name>')
    .option(
      '--from-beginning',
      'forget its cursor, and read the whole list again; items whose events are recorded make no second ones',
      false,
    )
    .action((name: string, { fromBeginning }: { fromBeginning: boolean }) =>
      inTenant((at, out) => startPull(at, { name, fromBeginning }, out)),
    );

  const ofConnections = program.command('connections').description('connections to systems, and whether they work');
  listOf(ofConnections)
    .description('print each with its state, its account and its last failure')
    .action(() => inTenant(connections));
  ofConnections
    .command('test')
    .description('send a request as a connection, and say whether the system takes its credential')
    .argument('<name>')
    .action((name: string) => inTenant((at, out) => testConnection(at, name, out)));
  ofConnections
    .command('authorize')
    .description('print the address at which a person gives consent; a grant that needs no person gets its token at once')
    .argument('<name>')
    .option('--other-account', 'take another account than the one before', false)
    .action((name: string, { otherAccount }: { otherAccount: boolean }) =>
      inTenant((at, out) => authorizeConnection(at, { name, allowOtherAccount: otherAccount }, out)),
    );
  ofConnections
    .command('disconnect')
    .description('delete the tokens of a connection, and revoke them at the system')
    .argument('<name>')
    .action((name: string) => inTenant((at, out) => disconnectConnection(at, name, out)));

  const bulk = program.command('operations').description('bulk replays and redeliveries, the last started first');
  listOf(bulk)
    .description('print the newest 20')
    .action(() => inTenant(operations));
  bulk
    .command('cancel')
    .description('order nothing more; what was ordered goes on')
    .argument('<id>', 'bop_…')
    .action((id: string) => inTenant((at, out) => cancel(at, id, out)));

  const deadLetters = program.command('dead-letters').description('what was given up and waits for an operator, the last first');
  listOf(deadLetters)
    .description('print the newest 20, with the number of records that each holds, the failed one included')
    .option('--customer <key>', 'only this customer’s')
    .option('--code <code>', 'only what was given up for this reason')
    .action((filter: { customer?: string; code?: string }) =>
      inTenant((at, out) => openDeadLetters(at, filter, out), { code: filter.code }),
    );
  deadLetters
    .command('retry')
    .description('try again what failed; when it succeeds, what waits behind it goes on in order')
    .argument('<id>', 'dlq_…')
    .action((id: string) => inTenant((at, out) => retryDeadLetter(at, id, out)));
  deadLetters
    .command('skip')
    .description('give it up for good; what waits behind it goes on in order')
    .argument('<id>', 'dlq_…')
    .action((id: string) => inTenant((at, out) => skipDeadLetter(at, id, out)));

  const ofReviews = program.command('reviews').description('what waits for a person to decide; needs a key with the scope review');
  listOf(ofReviews)
    .description('print what waits, in the order in which it is to be done')
    .option('--flow <name>', 'only of this flow')
    .option('--customer <key>', 'only this customer’s')
    .option('--escalated', 'only what is escalated')
    .option('--all', 'also what is decided, expired or withdrawn; the last asked first', false)
    .option('--first <number>', 'how many', positiveNumber, 20)
    .action((options: ReviewListOptions) => inTenant((at, out) => reviews(at, options, out), { flow: options.flow }));
  ofReviews
    .command('show')
    .description('print one with its proposal, and all that the flow shows beside it')
    .argument('<id>', 'rev_…')
    .action((id: string) => inTenant((at, out) => showReview(at, id, out)));
  const acting = (name: string, description: string): Command =>
    ofReviews
      .command(name)
      .description(description)
      .argument('<id>', 'rev_…')
      .option('--as <person>', 'who acts, where several use one key; default: the key');
  acting('claim', 'claim one, so that nobody else decides it meanwhile; again: for longer')
    .option('--minutes <number>', 'how long the claim holds, up to 480', positiveNumber, 15)
    .option('--take-over', 'although somebody else has it', false)
    .action((id: string, options: { as?: string; minutes: number; takeOver: boolean }) =>
      inTenant((at, out) => claimReview(at, id, options, out)),
    );
  acting('release', 'give a claimed one back').action((id: string, options: { as?: string }) =>
    inTenant((at, out) => releaseReview(at, id, options, out)),
  );
  acting('approve', 'decide that the proposal is the value')
    .option('--reason <text>', 'why')
    .action((id: string, options: ReviewActOptions) => inTenant((at, out) => approveReview(at, id, options, out)));
  acting('correct', 'decide on another value')
    .argument('<value>', 'JSON that fits the schema of the review')
    .option('--reason <text>', 'why')
    .action((id: string, value: string, options: ReviewActOptions) => inTenant((at, out) => correctReview(at, id, value, options, out)));
  acting('reject', 'decide that the default is the value')
    .requiredOption('--reason <text>', 'why')
    .action((id: string, options: ReviewActOptions) => inTenant((at, out) => rejectReview(at, id, options, out)));

  const flows = program.command('flows').description('flows, tried before they act');
  flows
    .command('test')
    .description(
      'run a flow on a sample event, or the tests of files, without a server and without effects; prints the input and output of each step',
    )
    .argument('<file...>', 'with --event: documents with the flow; else files of tests')
    .option('-e, --event <file>', 'JSON: an event with type, source, customer and data; a CloudEvent; or the body of a request')
    .option('--answers <file>', 'with --event: YAML or JSON with the answers to its steps, as `answers` of a test has them')
    .option('--flow <name>', 'the flow, where the files have several')
    .option('--type <type>', 'the type of the event; default: what the sample says, else the only type of the flow')
    .option('--source <name>', 'its source; default: what the sample says, else the only source of the flow')
    .option('--customer <key>', 'its customer')
    .option('--record <file>', 'with --event: add what was seen to a file of tests, which is made if it does not exist')
    .option(
      '--model-url <address>',
      'an OpenAI-compatible API for steps without a written answer; else MODEL_BASE_URL, with the key MODEL_API_KEY; else local/… models are asked offline',
    )
    .option('--watch', 'test again whenever a file changes, until Ctrl-C', false)
    .action(async (files: string[], options: FlowsTestOptions) => {
      // Only this command needs what runs flows, which takes longer to load than the rest.
      const { testFlows } = await import('./flows-test.command.js');
      await testFlows(files, options, { output: output(), environment, signal });
    });

  flows
    .command('try')
    .description(
      'carry out a flow on an event of the tenant without effects, with real reads and models; prints its steps and the decision',
    )
    .argument('[file...]', 'documents with the flow; default: one that was applied, see --flow')
    .option('-e, --event <id>', 'evt_…')
    .option('--data <json>', 'the data of an event that never came, with --type, --source and --customer')
    .option('--type <type>', 'with --data: its type')
    .option('--source <name>', 'with --data: its source')
    .option('--customer <key>', 'with --data: its customer')
    .option('--flow <name>', 'the flow, where the files have several; without files: one that was applied')
    .option('--flow-version <number>', 'without files: one of its versions; default: the current one', positiveNumber)
    .option('--step <id>', 'only this step; the others have their results of the stored run')
    .option('--outputs <json>', 'an object: outputs that take the place of steps, by their paths')
    .action(async (files: string[], options: TryOptions) => tryOnEvent(connection(), files, options, watched()));
  flows
    .command('backtest')
    .description('carry out a flow on the latest events of the tenant without effects; prints what would be decided otherwise')
    .argument('[file...]', 'documents with the flow; default: one that was applied, see --flow')
    .option('--last <number>', 'how many events, at most 1000', positiveNumber, 100)
    .option('--flow <name>', 'the flow, where the files have several; without files: one that was applied')
    .option('--flow-version <number>', 'without files: one of its versions; default: the current one', positiveNumber)
    .option('--customer <key>', 'only this customer’s')
    .option('--source <name...>', 'only of these sources')
    .option('--type <type>', 'only this type, or a prefix such as invoice.*')
    .option('--from <moment>', 'only what was received from here on', moment)
    .option('--before <moment>', 'only what was received before this', moment)
    .option('--max-cost <amount>', 'take no further event once models have cost this much, such as 2.50USD')
    .option('--max-seconds <number>', 'the longest time; default: 900', positiveNumber)
    .option('--outputs <json>', 'an object: outputs that take the place of steps, by their paths')
    .option('--expect-same', 'end with 1 if any event is not decided as before', false)
    .action(async (files: string[], options: BacktestOptions) => backtest(connection(), files, options, watched()));
  flows
    .command('promote')
    .description('make the outcomes of a backtest count: each becomes a generation of its event, and is delivered; no model is asked')
    .argument('<id>', 'trl_…, of a flow that is applied')
    .option('--all', 'also outcomes that are as they were decided: the same is delivered again', false)
    .option('--rate <number>', `how many a second, 1 to ${maxRate}`, rate, 50)
    .option('--dry-run', 'print how many it would be, and do nothing', false)
    .action((id: string, options: { all: boolean; rate: number; dryRun: boolean }) => inTenant((at, out) => promote(at, id, options, out)));
  flows
    .command('cost')
    .description('print what the models of a flow would cost for the events of a window, from what its runs or a backtest cost')
    .argument('<name>', 'a flow that has run, or a backtest, trl_…')
    .requiredOption('--from <moment>', 'the begin of the window', moment)
    .requiredOption('--before <moment>', 'its end', moment)
    .action((name: string, { from, before }: { from: string; before: string }) =>
      inTenant((at, out) => estimate(at, { ...(name.startsWith('trl_') ? { trial: name } : { flow: name }), from, before }, out)),
    );
  flows
    .command('trials')
    .description('print the newest 20 trials')
    .action(() => inTenant(trials));
  flows
    .command('cancel')
    .description('end a trial; its results until then are kept')
    .argument('<id>', 'trl_…')
    .action((id: string) => inTenant((at, out) => cancelOne(at, id, out)));

  const form = (): ReturnType<typeof oneProcessFormOf> => oneProcessFormOf(environment, directory);
  const tenantOfTemplates = (): string =>
    program.opts<ConnectionOptions>().tenant ?? environment['MILLRACE_TENANT'] ?? form()?.tenant ?? 'acme';
  const ofTemplates = program.command('templates').description('flows to begin with: documents, sample events, tests');
  listOf(ofTemplates)
    .description('print each with what it does')
    .action(async () => {
      const { templates } = await import('./templates/templates.command.js');
      templates(output());
    });
  ofTemplates
    .command('run')
    .description(
      'apply the documents of a template, send its sample events, and print the decision on each and its effects; needs npm start',
    )
    .argument('<template>', 'its name, or a folder that init has made')
    .action(async (name: string) => {
      const { runTemplate } = await import('./templates/run.command.js');
      const surroundings = { query: connection(), events: connection('events'), form: form(), output: output(), width: columns, signal };
      await runTemplate(name, { ...surroundings, tenant: tenantOfTemplates(), directory });
    });
  program
    .command('init')
    .description('write a template into a new folder, as the beginning of flows of your own')
    .argument('<template>', 'its name; millrace templates lists them')
    .argument('[folder]', 'default: the name of the template')
    .action(async (name: string, folder: string | undefined) => {
      const { init } = await import('./templates/init.command.js');
      const values = { tenant: tenantOfTemplates(), systems: form()?.systems };
      init(name, folder, { directory, values, output: output() });
    });

  program
    .command('restore')
    .description(
      'after Postgres was restored to an earlier moment: set the consumer groups back, so that the log gives what is missing again',
    )
    .requiredOption('--to <moment>', 'the moment that Postgres was restored to', moment)
    .option('--accept-loss', 'go on although the log has deleted what would be missing', false)
    .option('--dry-run', 'print what would be handled again, and change nothing', false)
    .addHelpText(
      'after',
      '\nWith the settings of a service (KAFKA_BROKERS, DATABASE_URL, …), while ai-processing and connectors are stopped.',
    )
    .action(async (options: RestoreOptions) => {
      // Only this command talks to the log and to Postgres, whose clients take longer to load than the rest.
      const { restore } = await import('./restore.command.js');
      await restore(environment, options, output());
    });
  return program;
}

/** The command that a group stands for without another word: `millrace runs`. Another word that is no command of the group is told as such. */
function listOf(group: Command): Command {
  return group
    .command('list', { isDefault: true })
    .allowExcessArguments()
    .hook('preAction', ({ args: [word] }) => {
      if (word === undefined) return;
      const known = group.commands.map((command) => command.name());
      group.error(`error: ${group.name()} has no command ${word}: it has ${known.join(', ')}`, { code: 'commander.unknownCommand' });
    });
}

const maxRate = 1_000;

/**
 * Adds a bulk command with the options that both have.
 * @param otherwise how moments are meant with the option that selects something else
 * @param ofFlow what a flow means with it, too
 */
function bulkCommand(program: Command, name: string, description: string, otherwise: string, ofFlow = ''): Command {
  return program
    .command(name)
    .description(description)
    .option('--from <moment>', `only what was parked ${otherwise}from here on`, moment)
    .option('--before <moment>', 'only what was before this', moment)
    .option('--customer <key>', 'only this customer’s')
    .option('--flow <name>', `only of this flow${ofFlow}`)
    .option('--code <code>', 'only what was parked for this reason')
    .option('--rate <number>', `how many a second, 1 to ${maxRate}`, rate, 50)
    .option('--dry-run', 'print how many it would be, and do nothing', false)
    .option('--wait', 'show the progress, and end when it is over', false);
}

function moment(text: string): string {
  const at = new Date(text);
  if (Number.isNaN(at.getTime())) throw new InvalidArgumentError('It is a moment such as 2026-11-21T08:00:00Z.');
  return at.toISOString();
}

function day(text: string): string {
  const at = new Date(`${text}T00:00:00Z`);
  const isDay = !Number.isNaN(at.getTime()) && at.toISOString().startsWith(`${text}T`);
  if (!isDay) throw new InvalidArgumentError('It is a day such as 2026-01-31.');
  return text;
}

function wholeNumber(text: string): number {
  if (!/^\d{1,6}$/.test(text)) throw new InvalidArgumentError('It is a whole number.');
  return Number(text);
}

function rate(text: string): number {
  const number = wholeNumber(text);
  if (number < 1 || number > maxRate) throw new InvalidArgumentError(`It is from 1 to ${maxRate}.`);
  return number;
}

function positiveNumber(text: string): number {
  const number = wholeNumber(text);
  if (number === 0) throw new InvalidArgumentError('It is 1 or more.');
  return number;
}

/** Reads values of an enumeration, in any case, for an option that can be repeated. */
function oneOf(plural: string, values: readonly string[]): (text: string, before?: string[]) => string[] {
  return (text, before = []) => {
    if (!values.includes(text.toLowerCase())) throw new InvalidArgumentError(`The ${plural} are ${values.join(', ')}.`);
    return [...before, text.toUpperCase()];
  };
}
