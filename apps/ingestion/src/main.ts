import { setFlagsFromString } from 'node:v8';
import { httpOptions, logOptions, serve, storageOptions } from '#libs/service';
import { ingestionSettings } from './config.js';
import { IngestionModule } from './ingestion.module.js';

/**
 * The objects of a request live until the log acknowledges it. If that takes longer than a few garbage collections, V8 starts to allocate such
 * objects in the old generation, where dead ones keep everything that they refer to (docs/decisions/2026-11-28-what-an-ack-costs.md).
 */
setFlagsFromString('--no-allocation-site-pretenuring');

await serve('ingestion', ingestionSettings, (settings) => ({
  ...httpOptions(settings),
  log: logOptions(settings),
  storage: { ...storageOptions(settings), configurationMaxAgeMs: settings.configurationMaxAgeMs },
  modules: [IngestionModule.register(settings)],
}));
