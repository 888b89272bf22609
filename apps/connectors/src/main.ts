import { logPart, serve, storagePart } from '#libs/service';
import { connectorsSettings } from './config.js';
import { ConnectorsModule } from './connectors.module.js';

await serve('connectors', connectorsSettings, (settings) => ({
  host: settings.host,
  port: settings.port,
  log: logPart(settings),
  storage: storagePart(settings, 'always'),
  modules: [ConnectorsModule.register(settings)],
}));
