import { readSettings } from '#libs/config';
import { observe, runUntilStopped } from '#libs/process';
import { standaloneSettings } from './config.js';
import { startStandalone } from './standalone.js';
import { welcome } from './welcome.js';

const progress = (step: string): boolean => process.stdout.write(`  ${step} …\n`);

process.umask(0o077); // events are in the files, so only their owner may read them

// Not `serve`: this process also owns a Postgres, a log and a data directory, and prints for a person.
try {
  const settings = readSettings('standalone', standaloneSettings, process.env);
  const tracing = await observe('standalone', settings);
  const standalone = await runUntilStopped((stopping) => startStandalone(settings, process.env, stopping, progress), {
    timeoutMs: settings.stopTimeoutMs,
    onStop: () => process.stdout.write('\n  Millrace stops …\n'),
    afterwards: () => tracing.shutdown(),
  });
  process.stdout.write(welcome(standalone, settings.directory));
} catch (error) {
  process.stderr.write(`\n  Millrace did not start. ${error instanceof Error ? error.message : String(error)}\n\n`);
  process.exit(1);
}
