import type { IncomingHttpHeaders } from 'node:http';
import { Injectable } from '@nestjs/common';
import type { Principal } from '#libs/auth';
import { NotFound, jobId, name } from '#libs/contracts';
import type { DecisionRequest, EventReceived } from '#libs/contracts';
import { isAwaited } from '#libs/decisions';
import type { AwaitedEvent } from '#libs/decisions';
import { EventAppender, eventReceived } from '#libs/intake';
import { LogUnavailable } from '#libs/messaging';
import { StorageUnavailable } from '#libs/persistence';
import { RequestInvalid } from '#libs/service';
import type { DoorResponse, DoorStream, OnClose } from '#libs/service';
import { startTimer } from '#libs/time';
import { counter, histogram, logger } from '#libs/tracing';
import { IntakeLog, noteEvents } from '../intake/intake-log.js';
import type { IntakeLogEntry } from '../intake/intake-log.js';
import { RequestLimits } from '../limits/request.limits.js';
import { readDecisionCall, waitOf } from './decision-call.js';
import type { CallerWait, DecisionCall } from './decision-call.js';
import { DecisionSettlement } from './decision.settlement.js';
import { DecisionStreams, prefersStream } from './decision.stream.js';
import type { CountedDecision, RequestEnd } from './decision.settlement.js';
import { ReplyFollower } from './reply.follower.js';
import { RequestableFlows } from './requestable-flows.js';
import type { RequestableFlow } from './requestable-flows.js';
import { WaitingCallers } from './waiting-callers.js';
import type { WaitingCaller } from './waiting-callers.js';

export interface DecisionHttpRequest {
  readonly headers: IncomingHttpHeaders;
  readonly rawBody: Buffer;
  readonly receivedAtMs: number;
}

/** A request whose caller waits. */
export interface AwaitedHttpRequest extends DecisionHttpRequest {
  readonly onClose: OnClose;
}

/** A call whose event the log has. */
interface AcceptedCall {
  readonly event: EventReceived;
  readonly wait: CallerWait;
  /** Undefined if the caller does not wait. */
  readonly caller: WaitingCaller | undefined;
  /** When the call came, by the monotonic clock. */
  readonly startedAt: number;
}

/** The end of a wait: the decision that counts, or why there is none to tell. */
type WaitEnd = RequestEnd | 'gone' | 'elapsed' | 'away';

/** The part of a caller's time that is kept for settling which decision counts, and its bounds, ms. */
const settlingTime = { part: 0.2, shortestMs: 300, longestMs: 750 };
/** When a process asks Postgres, as a part of that time: by then the reply to a default decision has come as a rule. */
const askAfter = 0.25;
/** The time in which the connection to the replies has to be made, ms. Without it a caller is told by Postgres, at the deadline. */
const followWithinMs = 1_000;

const duration = histogram('millrace_decision_duration_seconds', 'From the last byte of a call to its answer, of calls that were taken.', {
  answer: ['decided', 'default', 'accepted'],
});
const answers = counter('millrace_decision_answers_total', 'Default decisions that callers were answered with, by the reason.', {
  reason: 'a code of failures.md',
});
const unheard = counter(
  'millrace_decision_replies_lost_total',
  'Decisions of flows whose replies did not come in time: Postgres told them.',
  {},
);
const log = logger('decisions');

/** Takes requests for decisions, and answers those who wait by their deadlines. */
@Injectable()
export class DecisionService {
  constructor(
    private readonly flows: RequestableFlows,
    private readonly appender: EventAppender,
    private readonly callers: WaitingCallers,
    private readonly replies: ReplyFollower,
    private readonly settlement: DecisionSettlement,
    private readonly streams: DecisionStreams,
    private readonly limits: RequestLimits,
    private readonly intakeLog: IntakeLog,
  ) {}

  /**
   * Resolves with the decision that counts, or with a job; for a caller who prefers a stream, when the log has the event.
   * @throws NotFound, FlowTakesNoRequests, RequestLimited, DecisionsBusy, BodyMalformed, RequestInvalid, MediaTypeUnsupported, LogUnavailable, ConfigurationUnavailable
   */
  async decide(flowName: string, request: AwaitedHttpRequest, { tenant }: Principal): Promise<DoorResponse | DoorStream> {
    const startedAt = performance.now();
    const isStream = prefersStream(request.headers.accept);
    const accepted = await this.intakeLog.record('decisions', request.headers['traceparent'], async (entry) => {
      entry.tenant = tenant;
      const flow = await this.flows.find(tenant, nameOf(flowName));
      const wait = waitOf(request.headers['prefer'], flow.waitMs);
      const call = readDecisionCall(request.headers, request.rawBody);
      return this.accept(
        { flow, call, wait, tenant, request, startedAt, notify: undefined, isDraftWanted: isStream && flow.hasDraft },
        entry,
      );
    });
    const { caller } = accepted;
    if (caller === undefined) return acceptedResponse(accepted);
    if (isStream) return this.streamed(accepted, caller, request);
    using _place = caller;
    return await this.answerInTime(accepted, caller, request);
  }

  /** The caller keeps its place until its connection is not used any more, because what it has not read is in memory. */
  private streamed(accepted: AcceptedCall, caller: WaitingCaller, request: AwaitedHttpRequest): DoorStream {
    const { event, wait } = accepted;
    const lastEventId = request.headers['last-event-id']?.toString();
    const answer = this.answerInTime(accepted, caller, request);
    const told = { eventId: event.eventId, jobId: jobIdOf(event) };
    return this.streams.respond({ event, lastEventId, accepted: told, answer }, preferenceHeaders(wait), () => caller[Symbol.dispose]());
  }

  /** Takes a job. @throws as {@link decide} */
  async begin(request: DecisionHttpRequest, { tenant }: Principal): Promise<DoorResponse> {
    const startedAt = performance.now();
    const accepted = await this.intakeLog.record('jobs', request.headers['traceparent'], async (entry) => {
      entry.tenant = tenant;
      const call = readDecisionCall(request.headers, request.rawBody);
      const flow = await this.flows.find(tenant, nameOf(call.data['flow']));
      const notify = this.destinationOf(tenant, call.data['notify']);
      const wait = { waitMs: 0, isAsync: true, applied: undefined };
      return this.accept({ flow, call, wait, tenant, request, startedAt, notify, isDraftWanted: false }, entry);
    });
    return acceptedResponse(accepted);
  }

  private destinationOf(tenant: string, given: unknown): string | undefined {
    if (given === undefined || given === null) return undefined;
    if (name.safeParse(given).success && this.flows.mayHaveDestination(tenant, given as string)) return given as string;
    throw new RequestInvalid('notify', 'must be the name of a Destination of the tenant');
  }

  private async accept(
    { flow, call, wait, tenant, request, startedAt, notify, isDraftWanted }: Intention,
    entry: IntakeLogEntry,
  ): Promise<AcceptedCall> {
    await this.limits.take({ tenant, name: flow.name, rateLimit: undefined });
    await flow.requireFits(call.data);
    const event = await this.eventOf({ flow, call, wait, tenant, request, startedAt, notify, isDraftWanted });
    noteEvents(entry, [event]);
    if (wait.waitMs === 0) {
      await this.appender.append([event], () => 'decision', entry.traceparent);
      return { event, wait, caller: undefined, startedAt };
    }
    const caller = this.callers.enter(tenant, event.eventId);
    if (call.mayRepeat) void this.tellStored(caller, event);
    try {
      await this.follow();
      const appended = this.appender.append([event], () => 'decision', entry.traceparent);
      await inTime(appended, startedAt + wait.waitMs - performance.now());
      return { event, wait, caller, startedAt };
    } catch (error) {
      caller[Symbol.dispose]();
      throw error;
    }
  }

  /** Tells the caller at once what an earlier request with the id has come to, instead of when the lane has come to the repeat. */
  private async tellStored(caller: WaitingCaller, event: EventReceived): Promise<void> {
    try {
      const end = await this.settlement.stored(event);
      if (end !== undefined) caller.tell(end);
    } catch (error) {
      if (!(error instanceof StorageUnavailable)) log.error({ err: error, eventId: event.eventId }, 'a stored decision cannot be read');
    } // the caller is told by the reply or at the deadline
  }

  /** Hears the replies, if the log lets it soon. */
  private async follow(): Promise<void> {
    using end = after(followWithinMs);
    await Promise.race([this.replies.follow(), end.elapsed]);
  }

  /** The event of a call, with the default decision that counts if the flow does not decide by the deadline. */
  private async eventOf({ flow, call, wait, tenant, request, notify, isDraftWanted }: Intention): Promise<EventReceived> {
    const { id, customer, type, text } = call;
    const { receivedAtMs } = request;
    const asked: DecisionRequest = { flow: flow.name, flowVersion: flow.version, ...(notify === undefined ? {} : { notify }) };
    const event = eventReceived({
      tenant,
      source: flow.name,
      customer,
      lane: 'high',
      type,
      providerEventId: id,
      occurredAt: null,
      receivedAtMs,
      contentType: 'application/json',
      payload: Buffer.from(text),
      text,
      request: asked,
    });
    if (wait.waitMs === 0) return event;
    const until = timeText(receivedAtMs + wait.waitMs);
    const reply = { to: this.replies.address, until, ...(isDraftWanted ? { draft: true } : {}) };
    if (wait.isAsync) return { ...event, request: { ...asked, reply } };
    const decideBy = timeText(receivedAtMs + wait.waitMs - settlingMs(wait.waitMs));
    const deadline = { decideBy, default: await flow.defaultFor(event), deliverTo: flow.deliverTo };
    return { ...event, request: { ...asked, deadline, reply } };
  }

  /** Answers when the decision is known, at the latest when the caller's time is over. */
  private async answerInTime(accepted: AcceptedCall, caller: WaitingCaller, { onClose }: AwaitedHttpRequest): Promise<DoorResponse> {
    const gone = Promise.withResolvers<'gone'>();
    onClose(() => gone.resolve('gone'));
    const { event } = accepted;
    const found = isAwaited(event)
      ? await this.countedFor(accepted, event, caller, gone.promise)
      : await this.heard(accepted, caller, gone.promise);
    if (typeof found === 'string') return acceptedResponse(accepted);
    return answerOf(accepted, found);
  }

  /** The decision, if it is told while the caller waits. */
  private async heard({ wait, startedAt }: AcceptedCall, caller: WaitingCaller, gone: Promise<'gone'>): Promise<WaitEnd> {
    using end = after(startedAt + wait.waitMs - performance.now());
    return await Promise.race([caller.end, gone, end.elapsed]);
  }

  /** The decision that counts: the one that is told or, at the deadline, the one that Postgres has or stores then. */
  private async countedFor(
    { wait, startedAt }: AcceptedCall,
    event: AwaitedEvent,
    caller: WaitingCaller,
    gone: Promise<'gone'>,
  ): Promise<WaitEnd> {
    const leftMs = (): number => startedAt + wait.waitMs - performance.now();
    const keptMs = settlingMs(wait.waitMs);
    using asking = after(leftMs() - keptMs * (1 - askAfter));
    const told = await Promise.race([caller.end, gone, asking.elapsed]);
    if (told !== 'elapsed') return told;
    using end = after(leftMs());
    const settled = await Promise.race([caller.end, gone, this.settled(event), end.elapsed]);
    const isOpen = settled === 'away' || settled === 'job';
    const found = isOpen ? await Promise.race([caller.end, gone, end.elapsed]) : settled;
    if (found !== 'elapsed') return found;
    if (settled === 'job') return settled;
    this.settlement.confirmLater(event);
    return { decision: event.request.deadline.default, reason: 'decision.unconfirmed' };
  }

  private async settled(event: AwaitedEvent): Promise<RequestEnd | 'away'> {
    try {
      const found = await this.settlement.settle(event);
      if (found !== 'job' && found.reason === null) unheard.inc();
      return found;
    } catch (error) {
      if (error instanceof StorageUnavailable) log.warn({ reason: error.message, eventId: event.eventId }, 'a decision cannot be settled');
      else log.error({ err: error, eventId: event.eventId }, 'a decision cannot be settled');
      return 'away';
    }
  }
}

interface Intention {
  readonly flow: RequestableFlow;
  readonly call: DecisionCall;
  readonly wait: CallerWait;
  readonly tenant: string;
  readonly request: DecisionHttpRequest;
  readonly startedAt: number;
  /** The destination that is told about the end of the job. */
  readonly notify: string | undefined;
  /** True: the caller follows what the model writes. */
  readonly isDraftWanted: boolean;
}

/** @throws RequestInvalid, NotFound */
function nameOf(flow: unknown): string {
  if (typeof flow !== 'string') throw new RequestInvalid('flow', 'must be the name of a flow');
  if (!name.safeParse(flow).success) throw new NotFound('flow', flow.slice(0, 100), { field: 'flow' });
  return flow;
}

function settlingMs(waitMs: number): number {
  return Math.min(settlingTime.longestMs, Math.max(settlingTime.shortestMs, waitMs * settlingTime.part));
}

function timeText(ms: number): string {
  return new Date(ms).toISOString();
}

/** A time that elapses once, unless it is disposed before. */
function after(ms: number): Disposable & { readonly elapsed: Promise<'elapsed'> } {
  const { promise, resolve } = Promise.withResolvers<'elapsed'>();
  const timer = startTimer(() => resolve('elapsed'), Math.max(0, ms));
  return { elapsed: promise, [Symbol.dispose]: () => clearTimeout(timer) };
}

/** @throws LogUnavailable also if the log does not acknowledge within the time of the caller */
async function inTime(appended: Promise<void>, leftMs: number): Promise<void> {
  using end = after(leftMs);
  appended.catch(() => undefined); // it may fail when nobody waits for it any more
  if ((await Promise.race([appended, end.elapsed])) === 'elapsed') throw new LogUnavailable('no acknowledgement while the caller waited');
}

function answerOf({ event, wait, startedAt }: AcceptedCall, { decision, reason }: CountedDecision): DoorResponse {
  const isDefault = reason !== null;
  if (isDefault) answers.inc({ reason });
  duration.observe({ answer: isDefault ? 'default' : 'decided' }, (performance.now() - startedAt) / 1_000);
  return {
    status: 200,
    headers: preferenceHeaders(wait),
    body: { eventId: event.eventId, decision, default: isDefault, reason },
  };
}

function acceptedResponse({ event, wait, startedAt }: AcceptedCall): DoorResponse {
  duration.observe({ answer: 'accepted' }, (performance.now() - startedAt) / 1_000);
  const id = jobIdOf(event);
  return {
    status: 202,
    headers: { location: `/v1/jobs/${id}`, 'retry-after': '1', ...preferenceHeaders(wait) },
    body: { jobId: id, eventId: event.eventId },
  };
}

function jobIdOf({ eventId, receivedAt }: EventReceived): string {
  return jobId(eventId, Date.parse(receivedAt));
}

function preferenceHeaders({ applied }: CallerWait): Record<string, string> {
  return applied === undefined ? {} : { 'preference-applied': applied };
}
