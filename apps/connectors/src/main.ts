import { logOptions, serve, storageOptions, workerHttpOptions } from '#libs/service';
import { connectorsSettings } from './config.js';
import { ConnectorsModule } from './connectors.module.js';

await serve('connectors', connectorsSettings, (settings) => ({
  ...workerHttpOptions(settings),
  log: logOptions(settings),
  storage: storageOptions(settings),
  modules: [ConnectorsModule.register(settings)],
}));
