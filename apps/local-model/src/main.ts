import { httpOptions, serve } from '#libs/service';
import { localModelSettings } from './config.js';
import { LocalModelModule } from './local-model.module.js';

await serve('local-model', localModelSettings, (settings) => ({
  ...httpOptions(settings),
  modules: [LocalModelModule.register(settings)],
}));
