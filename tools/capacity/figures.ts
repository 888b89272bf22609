import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../programs/root.js';

/** A figure for each process: the services, `log` and `Postgres`. */
type ByProcess = Readonly<Record<string, number>>;

/** The measured costs of an event through one flow of the bench, with the log and Postgres on the same machine. */
export interface FlowFigures {
  readonly command: string;
  /** The day of the measurement, `2026-11-29`. */
  readonly day: string;
  /** Load of the machine before it. Its CPU figures are higher than those of a machine with nothing else to do. */
  readonly load: number;
  /** Bytes of the event's body. */
  readonly bodyBytes: number;
  /** CPU per event in ms in a closed loop, where batches are full. */
  readonly saturatedCpuMs: ByProcess;
  readonly saturatedPerSecond: number;
  /** CPU per event in ms at `ratePerSecond`, where a batch is an event or few. */
  readonly atRateCpuMs: ByProcess;
  readonly ratePerSecond: number;
  /** Memory of a process in MiB, shared pages divided among those that share them: before the first event, and after the closed loop and the rate. */
  readonly restMiB: ByProcess;
  readonly loadedMiB: ByProcess;
  /** Write-ahead log of Postgres per event. */
  readonly walBytes: number;
  /** Keys, values and headers of all records of an event on the log, one copy. */
  readonly logBytes: number;
  /** Growth of the database per event that is finished, indexes included. */
  readonly storedBytes: number;
}

export const measuredFlows = ['deliver', 'assess'] as const;
export type MeasuredFlow = (typeof measuredFlows)[number];

export type Figures = Readonly<Record<MeasuredFlow, FlowFigures>>;

/** `npm run bench -- event --figures` writes it. */
export const figuresFile = join(root, 'tools', 'capacity', 'figures.json');

export function readFigures(): Figures {
  return JSON.parse(readFileSync(figuresFile, 'utf8')) as Figures;
}
