import { logOptions, serve, storageOptions, workerHttpOptions } from '#libs/service';
import { AiProcessingModule } from './ai-processing.module.js';
import { aiProcessingSettings } from './config.js';

await serve('ai-processing', aiProcessingSettings, (settings) => ({
  ...workerHttpOptions(settings),
  log: logOptions(settings),
  storage: storageOptions(settings),
  modules: [AiProcessingModule.register(settings)],
}));
