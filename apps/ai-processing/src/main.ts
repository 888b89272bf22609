import { httpOptions, logOptions, serve, storageOptions } from '#libs/service';
import { AiProcessingModule } from './ai-processing.module.js';
import { aiProcessingSettings } from './config.js';

await serve('ai-processing', aiProcessingSettings, (settings) => ({
  ...httpOptions(settings),
  log: logOptions(settings),
  storage: storageOptions(settings, 'always'),
  modules: [AiProcessingModule.register(settings)],
}));
