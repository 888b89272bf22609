import { readSettings } from '#libs/config';
import { observe, onStopSignal } from '#libs/service';
import { standaloneSettings } from './config.js';
import { startStandalone } from './standalone.js';
import { welcome } from './welcome.js';

// Not `serve`: this process owns a Postgres, a log and a data directory around the services, and speaks to a person.
try {
  const settings = readSettings('standalone', standaloneSettings, process.env);
  const tracing = observe('standalone', settings);
  const standalone = await startStandalone(settings, process.env);
  process.stdout.write(welcome(standalone, settings.directory));
  onStopSignal(async () => {
    process.stdout.write('\n  Millrace stops …\n');
    await standalone.stop();
    await tracing.shutdown();
  });
} catch (error) {
  process.stderr.write(`\n  Millrace did not start. ${error instanceof Error ? error.message : String(error)}\n\n`);
  process.exit(1);
}
