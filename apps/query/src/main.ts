import { setFlagsFromString } from 'node:v8';
import { httpOptions, logOptions, serve, storageOptions } from '#libs/service';
import { querySettings } from './config.js';
import { QueryModule } from './query.module.js';

/**
 * One thread collects V8's young generation. A page of rows leaves little alive, so helper threads cost more CPU at each of the many short collections
 * than they save: a tenth of the process's under load (docs/decisions/2026-11-29-what-a-page-costs.md).
 */
setFlagsFromString('--no-parallel-scavenge');

await serve('query', querySettings, (settings) => ({
  ...httpOptions(settings),
  log: logOptions(settings),
  storage: { ...storageOptions(settings), publishesConfiguration: true },
  modules: [QueryModule.register(settings)],
}));
