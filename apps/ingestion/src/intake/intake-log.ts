import { DomainError, failures } from '#libs/contracts';
import type { EventReceived, FailureCode } from '#libs/contracts';
import {
  SpanKind,
  counter,
  currentTraceparent,
  failSpan,
  histogram,
  logger,
  recordedTraceId,
  startSpan,
  traceIdOf,
  workDone,
} from '#libs/tracing';
import type { Log } from '#libs/tracing';

export type DoorName = 'webhooks' | 'events' | 'decisions' | 'jobs';

/** The fields of a request's one log line. They are filled in while the request is handled. */
export interface IntakeLogEntry {
  /** The `traceparent` of the request's span, for the records that follow from it. */
  readonly traceparent: string | undefined;
  tenant?: string;
  source?: string;
  scheme?: string;
  handshake?: boolean;
  /** The number of events; the fields below describe the first of them. */
  events?: number;
  eventId?: string;
  type?: string;
  customer?: string;
  lane?: string;
}

/** Fills in the events that a request brought. */
export function noteEvents(entry: IntakeLogEntry, events: readonly EventReceived[]): void {
  entry.events = events.length;
  const [first] = events;
  if (first === undefined) return;
  entry.eventId = first.eventId;
  entry.type = first.type;
  entry.customer = first.customer;
  entry.lane = first.lane;
}

const intakeDuration = histogram(
  'millrace_intake_duration_seconds',
  'From the request’s last byte to its answer, or until the event of one whose caller waits for a decision was accepted. `refused`: the request is at fault; `failed`: we are.',
  { door: ['webhooks', 'events', 'decisions', 'jobs'], outcome: ['accepted', 'refused', 'failed'] },
);
const refusals = counter('millrace_intake_refusals_total', 'Requests that brought nothing in, by the code they were answered with.', {
  door: 'webhooks, events, decisions or jobs',
  code: 'a code of failures.md',
});

/** Records each request of a door: one span, one duration, one log line, whether it succeeds or not. */
export class IntakeLog {
  private accepted = 0;

  /** @param logEvery writes the line of every n-th accepted request; 0: of none */
  constructor(
    private readonly logEvery: number,
    private readonly log: Log = logger('ingestion'),
  ) {}

  /** @param parent the caller's `traceparent` header */
  async record<T>(door: DoorName, parent: string | string[] | undefined, work: (entry: IntakeLogEntry) => Promise<T>): Promise<T> {
    const startedAt = performance.now();
    const span = startSpan(`receive ${door}`, { kind: SpanKind.SERVER, parent: typeof parent === 'string' ? parent : undefined });
    const entry: IntakeLogEntry = { traceparent: currentTraceparent(span) };
    let outcome = 'ok';
    try {
      return await work(entry);
    } catch (error) {
      outcome = error instanceof DomainError ? error.code : 'defect';
      refusals.inc({ door, code: outcome });
      failSpan(span, error);
      throw error;
    } finally {
      const durationMs = performance.now() - startedAt;
      intakeDuration.observe({ door, outcome: kindOf(outcome) }, durationMs / 1_000, recordedTraceId(span));
      if (span.isRecording()) span.setAttributes(attributesOf(entry));
      if (outcome !== 'ok' || this.isDue()) this.write(door, outcome, durationMs, entry);
      span.end();
    }
  }

  private write(door: DoorName, outcome: string, durationMs: number, { traceparent, ...fields }: IntakeLogEntry): void {
    workDone(this.log, `receive ${door}`, { outcome, durationMs, ...fields, traceId: traceIdOf(traceparent) });
  }

  /** True if the line of this accepted request has to be written. */
  private isDue(): boolean {
    if (this.logEvery === 0 || !this.log.isLevelEnabled('info')) return false;
    this.accepted = (this.accepted + 1) % this.logEvery;
    return this.accepted === 0;
  }
}

function kindOf(outcome: string): string {
  if (outcome === 'ok') return 'accepted';
  return (failures[outcome as FailureCode]?.httpStatus ?? 500) >= 500 ? 'failed' : 'refused';
}

function attributesOf({ traceparent: _, ...fields }: IntakeLogEntry): Record<string, string | number | boolean> {
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [`millrace.${name}`, value]));
}
