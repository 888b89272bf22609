import { wallTimeMs } from '#libs/time';

/** One value of a metric, in the form that prom-client's registry prints. */
interface Sample {
  readonly metricName: string;
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
  readonly exemplar?: Exemplar | undefined;
}

/** An observation with the trace that it was made in, as an example of a bucket. */
export interface Exemplar {
  readonly traceId: string;
  readonly value: number;
  readonly timestampMs: number;
}

interface Series<L extends string> {
  readonly labels: Readonly<Record<L, string | number>>;
  /** Observations per bucket, not cumulative; the last one counts values above all bounds. */
  readonly counts: number[];
  /** The last observation per bucket that was made in a recorded trace; undefined until there is one. */
  exemplars: (Exemplar | undefined)[] | undefined;
  sum: number;
}

/**
 * A Prometheus histogram for prom-client's registry. prom-client's own looks up its buckets by their bounds as text, which takes a microsecond for
 * each value; an acknowledged webhook observes three.
 */
export class Histogram<L extends string> {
  readonly type = 'histogram';
  readonly aggregator = 'sum';
  private readonly series = new Map<string, Series<L>>();
  /** The series observed last. On a hot path the next value is nearly always for the same one, and no key has to be built. */
  private latest: Series<L> | undefined;

  /** @param bounds upper bounds, ascending, without infinity */
  constructor(
    readonly name: string,
    readonly help: string,
    private readonly labelNames: readonly L[],
    private readonly bounds: readonly number[],
  ) {}

  /** @param traceId a recorded trace (`recordedTraceId`), for which the value becomes the example of its bucket */
  observe(labels: Readonly<Record<L, string | number>>, value: number, traceId?: string): void {
    const series = this.isLatest(labels) ? this.latest! : this.seriesOf(labels);
    let at = 0;
    while (at < this.bounds.length && value > this.bounds[at]!) at += 1;
    series.counts[at]! += 1;
    series.sum += value;
    if (traceId !== undefined) (series.exemplars ??= [])[at] = { traceId, value, timestampMs: wallTimeMs() };
  }

  /** Makes the series of these labels exist before its first value. */
  begin(labels: Readonly<Record<L, string | number>>): void {
    this.seriesOf(labels);
  }

  /** @returns a function that observes the seconds since this call, given the labels that were not known at the start */
  startTimer<K extends L>(
    known: Readonly<Record<K, string | number>>,
  ): (rest: Readonly<Record<Exclude<L, K>, string | number>>, traceId?: string) => void {
    const startedAt = performance.now();
    return (rest, traceId) => {
      this.observe({ ...known, ...rest } as Record<L, string | number>, (performance.now() - startedAt) / 1_000, traceId);
    };
  }

  get(): { name: string; help: string; type: 'histogram'; aggregator: 'sum'; values: Sample[] } {
    const { name, help, type, aggregator } = this;
    return { name, help, type, aggregator, values: [...this.series.values()].flatMap((series) => this.samples(series)) };
  }

  reset(): void {
    this.series.clear();
    this.latest = undefined;
  }

  private isLatest(labels: Readonly<Record<L, string | number>>): boolean {
    if (this.latest === undefined) return false;
    for (const name of this.labelNames) if (this.latest.labels[name] !== labels[name]) return false;
    return true;
  }

  private seriesOf(labels: Readonly<Record<L, string | number>>): Series<L> {
    let key = '';
    for (const name of this.labelNames) key += `${labels[name]}\u0000`;
    let found = this.series.get(key);
    if (found === undefined) {
      found = { labels, counts: Array.from({ length: this.bounds.length + 1 }, () => 0), exemplars: undefined, sum: 0 };
      this.series.set(key, found);
    }
    this.latest = found;
    return found;
  }

  private samples({ labels, counts, exemplars, sum }: Series<L>): Sample[] {
    let count = 0;
    const buckets = counts.map((here, at) => {
      count += here;
      return {
        metricName: `${this.name}_bucket`,
        labels: { le: this.bounds[at] ?? '+Inf', ...labels },
        value: count,
        exemplar: exemplars?.[at],
      };
    });
    return [...buckets, { metricName: `${this.name}_sum`, labels, value: sum }, { metricName: `${this.name}_count`, labels, value: count }];
  }
}
