import type { Connectors, OpenConnection, OperationCall, PagePosition } from '#libs/connectors';
import type { EventReceived, PullDocument, PullSpec } from '#libs/contracts';
import { ExpressionFailed, compileExpression, compileListExpression } from '#libs/expressions';
import type { Expression, ListExpression } from '#libs/expressions';
import { EventFieldReader, eventOf, laneOf } from '#libs/intake';
import type { EventOrigin } from '#libs/intake';
import { parseJson } from '#libs/json';
import type { Json } from '#libs/json';
import type { Stored } from '#libs/persistence';
import { Timing } from '#libs/schedules';
import { latencyMs, wallTimeMs } from '#libs/time';
import { cursorKind, greater, usableCursor } from './cursor-value.js';
import type { CursorValue } from './cursor-value.js';
import type { NextPass } from './pull-progress.table.js';
import { PullCursorInvalid, PullInputFailed, PullItemsInvalid } from './pull.errors.js';

/** The scheme of the events of pulls in metrics. */
export const pullScheme = 'pull';

/** The facts about a pass that the input of its operation is made of. */
export interface PassStart {
  /** Null: everything is read. */
  readonly since: CursorValue | null;
  readonly startedAtMs: number;
}

export interface ListedPage {
  readonly items: readonly Json[];
  /** Undefined after the last page. */
  readonly next: PagePosition | undefined;
}

export interface ListedEvents {
  readonly events: readonly EventReceived[];
  /** The greatest value of the items; undefined if none has one. */
  readonly reached: CursorValue | undefined;
}

/** A Pull document, compiled once per version. */
export class Pull {
  readonly tenant: string;
  readonly name: string;
  readonly version: number;
  readonly spec: PullSpec;
  private readonly origin: EventOrigin;
  private readonly fields: EventFieldReader;
  private readonly input: Expression | undefined;
  private readonly items: ListExpression | undefined;
  private readonly cursor: Expression | undefined;
  private readonly timing: Timing | undefined;

  /** @throws ExpressionInvalid; RangeError, TypeError for times that cannot be read */
  constructor({ tenant, name, version, document: { spec } }: Stored<PullDocument>) {
    [this.tenant, this.name, this.version, this.spec] = [tenant, name, version, spec];
    const compiled = (text: string | undefined): Expression | undefined =>
      text === undefined ? undefined : compileExpression(text, { owner: tenant });
    this.origin = { tenant, name, scheme: pullScheme, laneOf: laneOf(spec.lane) };
    const given = (text: string | undefined): readonly string[] => (text === undefined ? [] : [text]);
    const { eventId, customer, type, occurredAt } = spec;
    const extraction = { eventId: given(eventId), customer: given(customer), type: [type], occurredAt: given(occurredAt) };
    this.fields = new EventFieldReader(extraction, tenant);
    this.input = compiled(spec.input);
    this.items = spec.items === undefined ? undefined : compileListExpression(spec.items, { owner: tenant });
    this.cursor = compiled(spec.cursor?.value);
    this.timing = timingOf(spec);
  }

  /** Says the same if the same list is read. */
  get list(): string {
    const { connection, operation, cursor } = this.spec;
    return JSON.stringify([connection, operation, cursor?.value ?? null, cursor?.start ?? null]);
  }

  /** When a pull that was never read begins, ms since 1970. */
  firstAtMs(): number {
    const nowMs = wallTimeMs();
    return this.timing === undefined ? nowMs : (this.timing.after(nowMs) ?? nowMs);
  }

  /** When the next pass begins after one that ends now. */
  next(): NextPass {
    const nowMs = wallTimeMs();
    const tickMs = this.timing?.after(nowMs);
    return tickMs === undefined ? { notBeforeMs: 0, sinceStartMs: this.spec.everyMs ?? 0 } : { notBeforeMs: latencyMs(nowMs, tickMs) };
  }

  /** True if the operation reads page by page; else its output is the only page, and the next one begins with the new cursor. */
  isPaged(connectors: Connectors, connection: OpenConnection): boolean {
    return connectors.operation(connection, this.spec.operation).paging !== undefined;
  }

  /**
   * Reads a page.
   * @param position the first page by default
   * @throws OperationFailure, PullInputFailed, PullItemsInvalid, EvaluationsBusy, what the authorizer throws, the signal's reason
   */
  async page(
    connectors: Connectors,
    connection: OpenConnection,
    start: PassStart,
    { position, traceparent, signal }: { position: PagePosition | undefined } & Pick<OperationCall, 'traceparent' | 'signal'>,
  ): Promise<ListedPage> {
    const { operation } = this.spec;
    const call: OperationCall = { connection, operation, input: await this.inputOf(start), effectKey: '', traceparent, signal };
    if (this.isPaged(connectors, connection)) return connectors.page(call, position);
    const { output } = await connectors.run(call);
    return { items: await this.itemsOf(output), next: undefined };
  }

  /**
   * The events of items, in their order.
   * @param before a cursor of earlier items, or the start
   * @throws EvaluationsBusy, PullCursorInvalid
   */
  async eventsOf(items: readonly Json[], before: CursorValue | undefined): Promise<ListedEvents> {
    const receivedAtMs = wallTimeMs();
    const events: EventReceived[] = [];
    let reached: CursorValue | undefined;
    for (const [at, item] of items.entries()) {
      const payload = Buffer.from(JSON.stringify(item));
      const unread = { source: this.origin, payload, text: undefined, contentType: 'application/json', receivedAtMs };
      const event = eventOf(unread, await this.fields.read({ item }));
      const value = await this.cursorOf(item);
      const id = event.providerEventId === null ? `item ${at + 1} of the page` : `the item ${event.providerEventId}`;
      if (value !== undefined) this.requireKind(value, id, before ?? reached ?? value);
      events.push(event);
      reached = greater(reached, value);
    }
    return { events, reached };
  }

  /** @throws PullCursorInvalid */
  private requireKind(value: CursorValue, item: string, known: CursorValue): void {
    const about = (one: CursorValue): { value: string; kind: string } => ({ value: JSON.stringify(one), kind: cursorKind(one) });
    if (cursorKind(value) !== cursorKind(known)) throw new PullCursorInvalid(this.name, { item, ...about(value) }, about(known));
  }

  private async cursorOf(item: Json): Promise<CursorValue | undefined> {
    try {
      return usableCursor(await this.cursor?.evaluate({ item }));
    } catch (error) {
      if (error instanceof ExpressionFailed) return undefined;
      throw error;
    }
  }

  private async inputOf({ since, startedAtMs }: PassStart): Promise<Json> {
    if (this.input === undefined) return {};
    try {
      return (await this.input.evaluate({ ...(since === null ? {} : { since }), startedAt: new Date(startedAtMs).toISOString() })) ?? {};
    } catch (error) {
      if (error instanceof ExpressionFailed) throw new PullInputFailed(this.name, error.message, { cause: error });
      throw error;
    }
  }

  private async itemsOf(output: Json): Promise<readonly Json[]> {
    try {
      if (this.items !== undefined) return await this.items.evaluate({ output });
    } catch (error) {
      if (error instanceof ExpressionFailed) throw new PullItemsInvalid(this.name, error.message, { cause: error });
      throw error;
    }
    if (Array.isArray(output)) return output;
    throw new PullItemsInvalid(this.name, `it is ${output === null ? 'null' : `of the type ${typeof output}`}`);
  }
}

/** A stored place in a list. */
export function storedPosition(text: string | null): PagePosition | undefined {
  return text === null ? undefined : (parseJson(text) as unknown as PagePosition);
}

/** The form in which a place in a list is stored: numbers of its cursor keep their digits. */
export function positionText({ cursor, number, offset, url }: PagePosition): string {
  return JSON.stringify({ cursor, number, offset, url });
}

function timingOf({ cron, timeZone }: PullSpec): Timing | undefined {
  return cron === undefined || timeZone === undefined ? undefined : new Timing({ cron, timeZone });
}
