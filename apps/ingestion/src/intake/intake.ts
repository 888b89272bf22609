import { Injectable } from '@nestjs/common';
import type { EventReceived } from '#libs/contracts';
import { EventAppender, eventOf } from '#libs/intake';
import type { Json } from '#libs/json';
import type { Source } from '#libs/sources';

/** The input of the expressions of a source. Header names are in lower case. */
export interface ExpressionInput {
  body: Json;
  headers: Readonly<Record<string, string | string[] | undefined>>;
}

/** A verified request, or one event of a batch. */
export interface VerifiedEvent {
  source: Source;
  /** The input of the source's expressions. */
  input: ExpressionInput;
  /** The bytes of the event. */
  payload: Buffer;
  /** The payload as text, if it is known to be text without control characters. */
  text: string | undefined;
  contentType: string;
  receivedAtMs: number;
}

/** Determines the id, customer, type and lane of events and appends them to the log. Both doors use it. */
@Injectable()
export class Intake {
  constructor(private readonly appender: EventAppender) {}

  /**
   * Resolves when the log has all events on all in-sync replicas (promise 1). Nothing is appended before the fields of all events were read,
   * so the events of one customer are appended in the order given.
   * @throws EventMisfit, EvaluationsBusy; nothing was appended
   * @throws LogUnavailable some events may have been stored; if they are sent again, they are the same events
   */
  async accept(admitted: readonly VerifiedEvent[], traceparent: string | undefined): Promise<EventReceived[]> {
    const events: EventReceived[] = [];
    for (const [at, one] of admitted.entries()) events.push(await this.judged(one, admitted.length === 1 ? undefined : at));
    await this.append(events, admitted, traceparent);
    return events;
  }

  /**
   * The event as it will be appended.
   * @param at its place in the request, for a refusal; undefined: it is named by something else
   * @throws EventMisfit, EvaluationsBusy
   */
  async judged(one: VerifiedEvent, at?: number): Promise<EventReceived> {
    const { fields, rules } = one.source;
    const event = eventOf(one, await fields.read(one.input));
    return rules === undefined ? event : rules.judged(event, one.input.body, at);
  }

  /** @throws LogUnavailable as {@link accept} */
  async append(events: readonly EventReceived[], admitted: readonly VerifiedEvent[], traceparent: string | undefined): Promise<void> {
    await this.appender.append(events, (at) => admitted[at]!.source.scheme, traceparent);
  }
}
