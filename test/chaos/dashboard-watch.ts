import { sentQueries } from '../../tools/monitoring/dashboards.js';
import type { SentQuery } from '../../tools/monitoring/dashboards.js';
import { queriesWithoutSeries, startPrometheus } from '../../tools/monitoring/prometheus-process.js';
import type { PrometheusProcess } from '../../tools/monitoring/prometheus-process.js';
import { findPrometheus, whereToGetIt } from '../../tools/monitoring/prometheus.js';
import { chaosTenant } from './documents.js';
import type { KeptProcess } from './kept-process.js';

const lastScrapesMs = 15_000;

/** The queries of the dashboards at a Prometheus that scraped the services of a run. */
export interface DashboardFindings {
  readonly queries: number;
  /** The queries without series, whether or not their panel allows that. */
  readonly withoutSeries: readonly SentQuery[];
}

/** A Prometheus that scrapes the services of a run. */
export class DashboardWatch {
  private constructor(private readonly prometheus: PrometheusProcess) {}

  /** @throws Error if there is no Prometheus on this machine */
  static async start(services: readonly KeptProcess[]): Promise<DashboardWatch> {
    const program = findPrometheus('prometheus');
    if (program === undefined) throw new Error(whereToGetIt);
    const jobs = Map.groupBy(
      services.filter(({ service }) => service !== 'local-model'),
      ({ service }) => service,
    );
    const targets = [...jobs].map(([job, kept]) => [job, kept.map(({ url }) => url)] as const);
    return new DashboardWatch(await startPrometheus(program, Object.fromEntries(targets)));
  }

  async stop(): Promise<DashboardFindings> {
    const queries = sentQueries(chaosTenant);
    const withoutSeries = await queriesWithoutSeries(this.prometheus, queries, lastScrapesMs);
    await this.prometheus.stop();
    return { queries: queries.length, withoutSeries };
  }
}
