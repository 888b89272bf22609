import { eventTopics } from '#libs/contracts';
import type { Figures, FlowFigures, MeasuredFlow } from './figures.js';

export interface CapacityOptions {
  readonly flow: MeasuredFlow;
  /** Bytes of an event's body. */
  readonly eventBytes: number;
  /** Days that Postgres keeps an event (`RETENTION_DAYS`). */
  readonly retentionDays: number;
  /** Days that the log keeps a record. */
  readonly logDays: number;
  /** Copies of each record on the log. */
  readonly replication: number;
  /** How long an event waits for its model calls, ms. 0: it makes none. */
  readonly modelMs: number;
}

export const defaultOptions: CapacityOptions = {
  flow: 'deliver',
  eventBytes: 1_000,
  retentionDays: 30,
  logDays: 7,
  replication: 3,
  modelMs: 0,
};

export interface ServiceCapacity {
  readonly pods: number;
  /** Cores that all pods use together. */
  readonly cores: number;
  readonly memoryMiB: number;
}

export interface Capacity {
  readonly eventsPerSecond: number;
  readonly services: Readonly<Record<Service, ServiceCapacity>>;
  readonly logCores: number;
  readonly postgresCores: number;
  /** Connections to Postgres. */
  readonly connections: number;
  /** Partitions that each topic of events needs. */
  readonly partitions: number;
  /** Growth of Postgres, and all that it keeps. */
  readonly postgresGbPerDay: number;
  readonly postgresGb: number;
  readonly walGbPerDay: number;
  /** Growth of the log with all copies, and all that it keeps. */
  readonly logGbPerDay: number;
  readonly logGb: number;
}

export const services = ['ingestion', 'ai-processing', 'connectors', 'query'] as const;
type Service = (typeof services)[number];

/** The least of each Deployment in k8s/base, for three or two zones. */
const leastPods: Readonly<Record<Service, number>> = { ingestion: 3, 'ai-processing': 2, connectors: 2, query: 3 };
/** One thread does the work of a process; above this share of a core, bursts wait noticeably. */
const coresPerPod = 0.6;
/** `HANDLER_CONCURRENCY`. */
const handlersPerPod = 200;
/** `DATABASE_POOL_SIZE` and one connection that listens; `query` has two pools. */
const connectionsPerPod: Readonly<Record<Service, number>> = { ingestion: 21, 'ai-processing': 21, connectors: 21, query: 41 };
const leastPartitions = eventTopics.normal.partitions;
const secondsPerDay = 86_400;

/** Computes the needs of a rate of events from the costs of an event in the bench. */
export function capacityOf(figures: Figures, eventsPerSecond: number, options: CapacityOptions): Capacity {
  const flow = figures[options.flow];
  const cpuMs = eventsPerSecond <= flow.ratePerSecond ? flow.atRateCpuMs : flow.saturatedCpuMs;
  const coresOf = (name: string): number => (eventsPerSecond * (cpuMs[name] ?? 0)) / 1_000;
  const ofServices = Object.fromEntries(
    services.map((service) => [service, serviceCapacity(service, coresOf(service), flow, eventsPerSecond, options)]),
  ) as Record<Service, ServiceCapacity>;
  // The body stands on the log once. In Postgres it stands in the event, and what is delivered of it in the delivery.
  const moreBytes = options.eventBytes - flow.bodyBytes;
  const perDay = eventsPerSecond * secondsPerDay;
  const gb = (bytes: number): number => Math.max(0, bytes) / 1e9;
  const postgresGbPerDay = gb(perDay * (flow.storedBytes + 2 * moreBytes));
  const logGbPerDay = gb(perDay * (flow.logBytes + moreBytes) * options.replication);
  return {
    eventsPerSecond,
    services: ofServices,
    logCores: coresOf('log') * options.replication,
    postgresCores: coresOf('Postgres'),
    connections: services.reduce((sum, service) => sum + ofServices[service].pods * connectionsPerPod[service], 0),
    // Twice the pods, so that a pod that leaves is shared by several.
    partitions: Math.max(leastPartitions, 2 * ofServices['ai-processing'].pods),
    postgresGbPerDay,
    postgresGb: postgresGbPerDay * options.retentionDays,
    walGbPerDay: gb(perDay * (flow.walBytes + 2 * moreBytes)),
    logGbPerDay,
    logGb: logGbPerDay * options.logDays,
  };
}

function serviceCapacity(
  service: Service,
  cores: number,
  flow: FlowFigures,
  eventsPerSecond: number,
  { modelMs }: CapacityOptions,
): ServiceCapacity {
  const underWay = service === 'ai-processing' ? (eventsPerSecond * modelMs) / 1_000 : 0;
  const pods = Math.max(leastPods[service], Math.ceil(cores / coresPerPod), Math.ceil(underWay / handlersPerPod));
  return { pods, cores, memoryMiB: pods * (flow.loadedMiB[service] ?? 0) };
}
