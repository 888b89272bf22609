import { serve } from '#libs/service';
import { localModelSettings } from './config.js';
import { LocalModelModule } from './local-model.module.js';

await serve('local-model', localModelSettings, (settings) => ({
  host: settings.host,
  port: settings.port,
  modules: [LocalModelModule.register(settings)],
}));
