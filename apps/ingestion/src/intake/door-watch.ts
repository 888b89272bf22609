import { DomainError } from '#libs/contracts';
import type { EventReceived } from '#libs/contracts';
import { SpanKind, counter, currentTraceparent, failSpan, histogram, logger, startSpan, traceIdOf, workDone } from '#libs/tracing';
import type { Log } from '#libs/tracing';

export type Door = 'webhooks' | 'events';

/** What is found out about a request while it is worked on; it goes into the request's one log line. */
export interface Sighting {
  /** The trace that the request belongs to from here on. */
  readonly traceparent: string | undefined;
  tenant?: string;
  source?: string;
  scheme?: string;
  handshake?: boolean;
  /** How many, and of the first one: */
  events?: number;
  eventId?: string;
  type?: string;
  customer?: string;
  lane?: string;
}

/** Notes what came in. */
export function noteEvents(sighting: Sighting, events: readonly EventReceived[]): void {
  sighting.events = events.length;
  const [first] = events;
  if (first === undefined) return;
  sighting.eventId = first.eventId;
  sighting.type = first.type;
  sighting.customer = first.customer;
  sighting.lane = first.lane;
}

const intakeDuration = histogram('millrace_intake_duration_seconds', 'From the request’s last byte to its answer.', ['door', 'outcome']);
const refusals = counter('millrace_intake_refusals_total', 'Requests that brought nothing in, by the code they were answered with.', [
  'door',
  'code',
]);

/** Wraps the work of a door: one span, one duration, one log line, whatever the end. */
export class DoorWatch {
  private accepted = 0;

  /** @param logEvery of the accepted requests, every how many-th is logged; 0: none */
  constructor(
    private readonly logEvery: number,
    private readonly log: Log = logger('ingestion'),
  ) {}

  /** @param parent the caller's `traceparent` header */
  async watch<T>(door: Door, parent: string | string[] | undefined, work: (sighting: Sighting) => Promise<T>): Promise<T> {
    const startedAt = performance.now();
    const span = startSpan(`receive ${door}`, { kind: SpanKind.SERVER, parent: typeof parent === 'string' ? parent : undefined });
    const sighting: Sighting = { traceparent: currentTraceparent(span) };
    let outcome = 'ok';
    try {
      return await work(sighting);
    } catch (error) {
      outcome = error instanceof DomainError ? error.code : 'defect';
      refusals.inc({ door, code: outcome });
      failSpan(span, error);
      throw error;
    } finally {
      const durationMs = performance.now() - startedAt;
      intakeDuration.observe({ door, outcome: outcome === 'ok' ? 'accepted' : 'refused' }, durationMs / 1_000);
      if (span.isRecording()) span.setAttributes(attributesOf(sighting));
      if (outcome !== 'ok' || this.itsTurn()) this.write(door, outcome, durationMs, sighting);
      span.end();
    }
  }

  private write(door: Door, outcome: string, durationMs: number, { traceparent, ...seen }: Sighting): void {
    workDone(this.log, `receive ${door}`, { outcome, durationMs, ...seen, traceId: traceIdOf(traceparent) });
  }

  /** Whether the line of this accepted request is due, and anybody would read it. */
  private itsTurn(): boolean {
    if (this.logEvery === 0 || !this.log.isLevelEnabled('info')) return false;
    this.accepted = (this.accepted + 1) % this.logEvery;
    return this.accepted === 0;
  }
}

function attributesOf({ traceparent: _, ...seen }: Sighting): Record<string, string | number | boolean> {
  return Object.fromEntries(Object.entries(seen).map(([name, value]) => [`millrace.${name}`, value]));
}
