import { setFlagsFromString } from 'node:v8';
import { logOptions, serve, storageOptions } from '#libs/service';
import { ingestionSettings } from './config.js';
import { IngestionModule } from './ingestion.module.js';

/**
 * What a request makes lives until the log acknowledges it. Where that outlasts a few collections, V8 takes it for long-lived, makes more of its
 * kind in the old generation, and there, dead, it keeps all that it refers to (docs/decisions/2026-11-28-what-an-ack-costs.md).
 */
setFlagsFromString('--no-allocation-site-pretenuring');

await serve('ingestion', ingestionSettings, (settings) => ({
  host: settings.host,
  port: settings.port,
  log: logOptions(settings),
  storage: storageOptions(settings, 'at-start'),
  modules: [IngestionModule.register(settings)],
}));
