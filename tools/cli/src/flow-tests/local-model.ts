import { LocalModelModule, localModelBasePath } from '#apps/local-model';
import { OpenAiProvider } from '#libs/models';
import type { ModelProvider } from '#libs/models';
import { start } from '#libs/service';
import { setLogLevel } from '#libs/tracing';

const unlimited = { apiKey: undefined, requestsPerMinute: 100_000_000, tokensPerMinute: 1_000_000_000, faults: false };

/** Starts the local model on a free port of loopback. */
export async function startLocalModel(): Promise<{ provider: ModelProvider; stop: () => Promise<void> }> {
  setLogLevel('error'); // standard output belongs to the results
  const running = await start({ service: 'local-model', host: '127.0.0.1', port: 0, modules: [LocalModelModule.register(unlimited)] });
  const provider = new OpenAiProvider({ baseUrl: `${running.url}${localModelBasePath}`, apiKey: 'local' });
  return { provider, stop: () => running.stop({ isUrgent: true }) };
}
