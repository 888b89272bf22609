import { logOptions, serve, storageOptions } from '#libs/service';
import { connectorsSettings } from './config.js';
import { ConnectorsModule } from './connectors.module.js';

await serve('connectors', connectorsSettings, (settings) => ({
  host: settings.host,
  port: settings.port,
  log: logOptions(settings),
  storage: storageOptions(settings, 'always'),
  modules: [ConnectorsModule.register(settings)],
}));
