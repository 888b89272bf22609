import { logPart, serve, storagePart } from '#libs/service';
import { querySettings } from './config.js';
import { QueryModule } from './query.module.js';

await serve('query', querySettings, (settings) => ({
  host: settings.host,
  port: settings.port,
  log: logPart(settings),
  storage: storagePart(settings, 'always'),
  modules: [QueryModule.register(settings)],
}));
