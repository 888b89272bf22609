import { registry } from '#libs/tracing';
import { Readiness } from './readiness.js';

export interface OperationsResponse {
  readonly status: number;
  readonly contentType: string;
  readonly text: string;
}

/** Health, readiness and metrics of a process. They are answered while the start still waits for the log or Postgres. */
export class Operations {
  private readonly responses: ReadonlyMap<string, () => Promise<OperationsResponse>>;

  constructor(private readonly readiness: Readiness) {
    this.responses = new Map([
      ['/healthz', () => this.health()],
      ['/readyz', () => this.ready()],
      ['/metrics', () => this.metrics()],
    ]);
  }

  /** Undefined if the path is not one of operations. */
  at(path: string): (() => Promise<OperationsResponse>) | undefined {
    return this.responses.get(path);
  }

  /** 200 as long as the process runs. A dependency that is down does not count: a restart would not repair it. */
  private async health(): Promise<OperationsResponse> {
    return json(200, { status: 'ok' });
  }

  /** 200 when every part can do its work, else 503; each part with its reason. */
  private async ready(): Promise<OperationsResponse> {
    const { ready, parts } = await this.readiness.report();
    return json(ready ? 200 : 503, { status: ready ? 'ok' : 'unavailable', parts });
  }

  /** Prometheus text exposition. */
  private async metrics(): Promise<OperationsResponse> {
    return { status: 200, contentType: registry.contentType, text: await registry.metrics() };
  }
}

function json(status: number, body: object): OperationsResponse {
  return { status, contentType: 'application/json; charset=utf-8', text: JSON.stringify(body) };
}
