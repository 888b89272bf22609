import { logOptions, serve, storageOptions } from '#libs/service';
import { querySettings } from './config.js';
import { QueryModule } from './query.module.js';

await serve('query', querySettings, (settings) => ({
  host: settings.host,
  port: settings.port,
  log: logOptions(settings),
  storage: storageOptions(settings, 'always'),
  modules: [QueryModule.register(settings)],
}));
