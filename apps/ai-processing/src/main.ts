import { logPart, serve, storagePart } from '#libs/service';
import { AiProcessingModule } from './ai-processing.module.js';
import { aiProcessingSettings } from './config.js';

await serve('ai-processing', aiProcessingSettings, (settings) => ({
  host: settings.host,
  port: settings.port,
  log: logPart(settings),
  storage: storagePart(settings, 'always'),
  modules: [AiProcessingModule.register(settings)],
}));
