import { logPart, serve, storagePart } from '#libs/service';
import { ingestionSettings } from './config.js';
import { IngestionModule } from './ingestion.module.js';

await serve('ingestion', ingestionSettings, (settings) => ({
  host: settings.host,
  port: settings.port,
  log: logPart(settings),
  storage: storagePart(settings, 'at-start'),
  modules: [IngestionModule.register(settings)],
}));
