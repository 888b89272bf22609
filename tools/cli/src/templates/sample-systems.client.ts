import { CliFailure } from '../failure.js';
import type { TemplateValues } from './template.files.js';

export type SampleSystemsAccess = NonNullable<TemplateValues['systems']>;

interface Effect {
  readonly number: number;
  readonly text: string;
}

/** The sample systems of the one-process form. */
export class SampleSystemsClient {
  private seen = 0;

  constructor(private readonly systems: SampleSystemsAccess) {}

  get url(): string {
    return this.systems.url;
  }

  /** Puts objects into systems, and forgets the effects so far. @throws CliFailure if a system refuses them, or none answers */
  async prepare(content: Readonly<Record<string, unknown>>): Promise<void> {
    for (const [system, objects] of Object.entries(content)) {
      const response = await this.ask(`/${system}`, { method: 'PUT', body: JSON.stringify(objects) });
      if (!response.ok) {
        const { message } = (await response.json()) as { message: string };
        throw new CliFailure(`The sample system ${system} refused its objects: ${message}`, 'refused');
      }
    }
    await this.effects();
  }

  /** The effects since the last call, the first first. */
  async effects(): Promise<string[]> {
    const effects = (await (await this.ask(`/effects?after=${this.seen}`)).json()) as Effect[];
    this.seen = effects.at(-1)?.number ?? this.seen;
    return effects.map(({ text }) => text);
  }

  private ask(path: string, options: RequestInit = {}): Promise<Response> {
    const { url, token } = this.systems;
    return fetch(url + path, { ...options, headers: { authorization: `Bearer ${token}` } }).catch(() => {
      throw new CliFailure(`The sample systems do not answer at ${url}. Start Millrace first, in another terminal: npm start`, 'unusable');
    });
  }
}
