import { readSettings } from '#libs/config';
import { observe, onStopSignal, processSettings } from '#libs/process';
import { logger } from '#libs/tracing';
import { localBrokerSettings } from './config.js';
import { startLocalBroker } from './local-broker.js';

process.umask(0o077); // events are in the files, so only their owner may read them

// Not a Nest application: it has no HTTP, no providers and nothing to inject, only a socket and files.
try {
  const settings = readSettings('local-broker', { ...localBrokerSettings, ...processSettings }, process.env);
  const tracing = await observe('local-broker', settings);
  const broker = await startLocalBroker({
    directory: settings.directory,
    host: settings.host,
    port: settings.port,
    retentionBytes: settings.retentionMegabytes * 1_048_576,
  });
  logger('local-broker').info({ address: broker.address, pid: process.pid }, 'local-broker is ready');
  onStopSignal(async () => {
    await broker.stop();
    await tracing.shutdown();
  }, settings.stopTimeoutMs);
} catch (error) {
  process.stderr.write(`local-broker did not start: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
}
