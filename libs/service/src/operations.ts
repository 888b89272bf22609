import { registry } from '#libs/tracing';
import { Readiness } from './readiness.js';

export interface OperationsAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly text: string;
}

/** What those who run a process ask it. It answers from the first moment on, while the rest may still wait for what it needs. */
export class Operations {
  private readonly answers: ReadonlyMap<string, () => Promise<OperationsAnswer>>;

  constructor(private readonly readiness: Readiness) {
    this.answers = new Map([
      ['/healthz', () => this.health()],
      ['/readyz', () => this.ready()],
      ['/metrics', () => this.metrics()],
    ]);
  }

  /** Undefined where the path is none of theirs. */
  at(path: string): (() => Promise<OperationsAnswer>) | undefined {
    return this.answers.get(path);
  }

  /** The process lives. Never fails because something it depends on is down: a restart would not mend that. */
  private async health(): Promise<OperationsAnswer> {
    return json(200, { status: 'ok' });
  }

  /** 200 when every part can do its work, else 503; each part with its reason. */
  private async ready(): Promise<OperationsAnswer> {
    const { ready, parts } = await this.readiness.report();
    return json(ready ? 200 : 503, { status: ready ? 'ok' : 'unavailable', parts });
  }

  /** Prometheus text exposition. */
  private async metrics(): Promise<OperationsAnswer> {
    return { status: 200, contentType: registry.contentType, text: await registry.metrics() };
  }
}

function json(status: number, body: object): OperationsAnswer {
  return { status, contentType: 'application/json; charset=utf-8', text: JSON.stringify(body) };
}
