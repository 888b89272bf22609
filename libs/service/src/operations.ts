import type { IncomingHttpHeaders } from 'node:http';
import { isBearer } from '#libs/auth';
import { exposition } from '#libs/tracing';
import { Readiness } from './readiness.js';
import { OperationsKeyRequired, OperationsKeyWrong } from './request.errors.js';

export interface OperationsResponse {
  readonly status: number;
  readonly contentType: string;
  readonly text: string;
}

/** Answers a request of operations. @throws OperationsKeyRequired, OperationsKeyWrong */
export type Operate = (headers: Pick<IncomingHttpHeaders, 'authorization' | 'accept'>) => Promise<OperationsResponse>;

/**
 * Health, readiness and metrics of a process. They are answered while the start still waits for the log or Postgres. If there is a key, callers
 * without it learn only whether the process is alive and ready: the reasons and the labels of metrics name hosts and tenants.
 */
export class Operations {
  private readonly responses: ReadonlyMap<string, Operate>;

  /** @param key the bearer key of operations; undefined: everybody may see everything */
  constructor(
    private readonly readiness: Readiness,
    private readonly key?: string,
  ) {
    this.responses = new Map<string, Operate>([
      ['/healthz', () => this.health()],
      ['/readyz', ({ authorization }) => this.ready(authorization)],
      ['/metrics', ({ authorization, accept }) => this.metrics(authorization, accept)],
    ]);
  }

  /** Undefined if the path is not one of operations. */
  at(path: string): Operate | undefined {
    return this.responses.get(path);
  }

  paths(): readonly string[] {
    return [...this.responses.keys()];
  }

  /** 200 as long as the process runs. A dependency that is down does not count: a restart would not repair it. */
  private async health(): Promise<OperationsResponse> {
    return json(200, { status: 'ok' });
  }

  /** 200 when this process can do its work, else 503; each part with its reason. */
  private async ready(authorization: string | undefined): Promise<OperationsResponse> {
    const { status, parts } = await this.readiness.report();
    return json(status === 'unavailable' ? 503 : 200, this.isOpenTo(authorization) ? { status, parts } : { status });
  }

  /** OpenMetrics for a scraper that asks for it, else Prometheus text. */
  private async metrics(authorization: string | undefined, accept: string | undefined): Promise<OperationsResponse> {
    if (!this.isOpenTo(authorization)) throw authorization === undefined ? new OperationsKeyRequired() : new OperationsKeyWrong();
    await this.readiness.report(); // sets its gauge
    return { status: 200, ...(await exposition(accept)) };
  }

  private isOpenTo(authorization: string | undefined): boolean {
    return this.key === undefined || isBearer(authorization, this.key);
  }
}

function json(status: number, body: object): OperationsResponse {
  return { status, contentType: 'application/json; charset=utf-8', text: JSON.stringify(body) };
}
