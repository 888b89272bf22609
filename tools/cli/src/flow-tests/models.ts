import { OpenAiProvider } from '#libs/models';
import type { ModelProvider } from '#libs/models';
import { AnswerUnusable } from './written-answers.js';

/** The real models that steps without an answer ask: those at the address, else the local model, which is started when it is first asked. */
export class Models {
  private readonly stops: (() => Promise<void>)[] = [];
  private provider: Promise<ModelProvider> | undefined;

  /** @param at the address of an OpenAI-compatible API; undefined: only models of the name `local/…` can be asked */
  constructor(private readonly at: { baseUrl: string; apiKey: string } | undefined) {}

  /**
   * @param provider the name of a ModelProvider document; undefined: the provider of the installation, which has the local models
   * @throws AnswerUnusable if there is no provider for the model
   */
  async providerOf(model: string, step: string, provider?: string): Promise<ModelProvider> {
    if (this.at === undefined && (provider !== undefined || !model.startsWith('local/'))) {
      const owner = provider === undefined ? '' : ` of the ModelProvider ${provider}`;
      throw new AnswerUnusable(
        step,
        `The step ${step} asks the model ${model}${owner}: write its answer down (answers.${step}), or give --model-url the address of its API`,
      );
    }
    this.provider ??= this.at === undefined ? this.startLocalModel() : Promise.resolve(new OpenAiProvider(this.at));
    return this.provider;
  }

  async close(): Promise<void> {
    await (await this.provider?.catch(() => undefined))?.close();
    for (const stop of this.stops) await stop();
  }

  private async startLocalModel(): Promise<ModelProvider> {
    const { startLocalModel } = await import('./local-model.js'); // a second to load, for nothing where all answers are written down
    const { provider, stop } = await startLocalModel();
    this.stops.push(stop);
    return provider;
  }
}
