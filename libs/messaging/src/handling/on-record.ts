import { Catch, UseFilters, applyDecorators } from '@nestjs/common';
import type { ExceptionFilter } from '@nestjs/common';
import { Ctx, EventPattern, Payload } from '@nestjs/microservices';
import { throwError } from 'rxjs';
import type { Observable } from 'rxjs';
import type { Owned, RecordType, Topic } from '#libs/contracts';

/** Nest's transport id of handlers that receive records of the log. */
export const logTransport = Symbol('millrace log');

/** The facts about a record that a handler gets besides its value. */
export interface RecordContext {
  readonly tenant: string;
  readonly customer: string;
  readonly topic: string;
  readonly partition: number;
  readonly offset: string;
  /** When the record was appended. */
  readonly timestampMs: number;
  /** The W3C trace context it was appended under. */
  readonly traceparent?: string;
  /** From 1; a redelivery after a crash starts at 1 again. */
  readonly attempt: number;
  /** True if the record waited in the hold store until its customer's turn came. */
  readonly wasHeld?: boolean;
  /** Aborted when another process owns the partition, or when a stop has run out of time. Work done after that is done again elsewhere. */
  readonly signal: AbortSignal;
}

export interface OnRecordOptions {
  /** Name of the consumer group, without the installation's prefix. Each record is handled by one process of the group. */
  group: string;
  /** `customer` (default): one customer's records in order, customers in parallel. `none`: each record on its own. */
  order?: 'customer' | 'none';
  /** `every-process`: this process has a group of its own and reads from the newest record on; nothing is committed or parked. Default `one`. */
  audience?: 'one' | 'every-process';
  /**
   * Decides what happens to a customer after a record that cannot be processed. `skip` (default): the dead letter is written and the next record
   * is handled. `park-key`: later records of the customer wait until the dead letter is resolved, and are then handled in order.
   */
  poison?: PoisonPolicy;
  /**
   * Minimum time between two fetches, ms: a group that nobody waits for gets more records with each. Default: by the load, so that a record that
   * comes alone is fetched at once. The shortest of a group's handlers counts.
   */
  fetchEveryMs?: number;
  /** Passes over records whose header says that they only tell what is stored already. Default false. */
  passesNotices?: boolean;
}

export type PoisonPolicy = 'park-key' | 'skip';

/** The metadata that `@OnRecord` attaches to a method. */
export interface RecordSubscription {
  readonly topics: readonly Topic[];
  readonly type: RecordType;
  readonly group: string;
  readonly order: 'customer' | 'none';
  readonly audience: 'one' | 'every-process';
  readonly poison: PoisonPolicy;
  /** Undefined: by the load. */
  readonly fetchEveryMs: number | undefined;
  readonly passesNotices: boolean;
  /** `Class.method`, for messages. */
  readonly method: string;
}

/**
 * Makes a method the handler of one record type of one or more topics. The method resolves when its effects are stored and the records that
 * follow are appended. What it throws decides what happens next: see {@link afterFailure}.
 */
export function OnRecord<T extends Owned>(topic: Topic | readonly Topic[], type: RecordType<T>, options: OnRecordOptions) {
  return <Method extends (value: T, context: RecordContext) => Promise<void>>(
    target: object,
    key: string | symbol,
    descriptor: TypedPropertyDescriptor<Method>,
  ): void => {
    const method = `${target.constructor.name}.${String(key)}`;
    const topics: readonly Topic[] = 'name' in topic ? [topic] : topic;
    const { group, order = 'customer', audience = 'one', poison = 'skip', fetchEveryMs, passesNotices = false } = options;
    const subscription: RecordSubscription = { topics, type, group, order, audience, poison, fetchEveryMs, passesNotices, method };
    const deliver = EventPattern(`${group} ${type.schema} ${method}`, logTransport, { subscription }) as MethodDecorator;
    applyDecorators(deliver, UseFilters(RethrowFilter))(target, key, descriptor);
    Payload()(target, key, 0);
    Ctx()(target, key, 1);
  };
}

/** Passes errors on to the consumer. Nest's default filter replaces every error with "Internal server error". */
@Catch()
class RethrowFilter implements ExceptionFilter {
  catch(error: unknown): Observable<never> {
    return throwError(() => error);
  }
}
