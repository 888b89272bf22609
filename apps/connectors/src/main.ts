import { httpOptions, logOptions, serve, storageOptions } from '#libs/service';
import { connectorsSettings } from './config.js';
import { ConnectorsModule } from './connectors.module.js';

await serve('connectors', connectorsSettings, (settings) => ({
  ...httpOptions(settings),
  log: logOptions(settings),
  storage: storageOptions(settings, 'always'),
  modules: [ConnectorsModule.register(settings)],
}));
