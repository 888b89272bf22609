import { logger } from '#libs/tracing';
import type { InferenceObserver } from './inference.js';

const log = logger('models');

/** Tells an observer about one inference. One that throws is told nothing more, and the inference goes on. */
export class InferenceDraft {
  private isBroken = false;
  private hasText = false;

  constructor(private readonly observer: InferenceObserver) {}

  add(text: string): void {
    if (text === '') return;
    this.hasText = true;
    this.tell((observer) => observer.add(text));
  }

  /** Nothing is told if there is no text that could be void. */
  restart(): void {
    if (!this.hasText) return;
    this.hasText = false;
    this.tell((observer) => observer.restart());
  }

  private tell(how: (observer: InferenceObserver) => void): void {
    if (this.isBroken) return;
    try {
      how(this.observer);
    } catch (error) {
      this.isBroken = true;
      log.error({ err: error }, 'who watches an inference fails, and is told no more of it');
    }
  }
}
