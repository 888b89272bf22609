import { httpOptions, logOptions, serve, storageOptions } from '#libs/service';
import { querySettings } from './config.js';
import { QueryModule } from './query.module.js';

await serve('query', querySettings, (settings) => ({
  ...httpOptions(settings),
  log: logOptions(settings),
  storage: storageOptions(settings, 'always'),
  modules: [QueryModule.register(settings)],
}));
