import { Injectable } from '@nestjs/common';
import { TenantDatabase } from '#libs/persistence';
import type { Statement } from '#libs/persistence';
import { ArgumentInvalid } from '../operations/input.errors.js';
import { CursorSigner } from './cursor.js';
import type { ListIdentity, Position } from './cursor.js';

/** The paging arguments that every list takes. */
export interface PageArguments {
  first?: number | null;
  after?: string | null;
  last?: number | null;
  before?: string | null;
}

/** A list in the database that is read page by page. */
export interface ListSource<Row, Raw> {
  /** Part of the cursors' signature: a cursor of another list is refused. */
  name: string;
  /** Calls the list's `_page` function with tenant, filter, sort key and id to start behind (or null), backward, limit. */
  page: Statement;
  /** Calls the list's `_count` function with tenant, filter, limit; returns `found`. */
  count: Statement;
  /** The key is the value that the list is sorted by: text, or a time in RFC 3339. Columns of times keep milliseconds, so a `Date` loses nothing. */
  positionOf: (raw: Raw) => Position;
  rowOf: (raw: Raw) => Row;
}

/** How many rows a filter finds; `exact` is false if counting stopped at its limit. */
export interface Count {
  value: number;
  exact: boolean;
}

export interface PageInfo {
  readonly hasNextPage: boolean;
  readonly hasPreviousPage: boolean;
  readonly startCursor: string | null;
  readonly endCursor: string | null;
}

export interface Edge<Row> {
  readonly node: Row;
  readonly cursor: string;
}

/** A page, as a connection of the Relay specification has it. `count` queries the database only when it is called. */
export interface Page<Row> {
  readonly edges: readonly Edge<Row>[];
  readonly nodes: readonly Row[];
  readonly pageInfo: PageInfo;
  readonly count: () => Promise<Count>;
}

/** Makes edges, and signs cursors, only where they are read: most queries ask for the nodes and the last cursor. */
class ReadPage<Row> implements Page<Row>, PageInfo {
  readonly hasNextPage: boolean;
  readonly hasPreviousPage: boolean;
  readonly count: () => Promise<Count>;

  constructor(
    readonly nodes: readonly Row[],
    private readonly cursorAt: (at: number) => string,
    around: Pick<PageInfo, 'hasNextPage' | 'hasPreviousPage'> & Pick<Page<Row>, 'count'>,
  ) {
    this.hasNextPage = around.hasNextPage;
    this.hasPreviousPage = around.hasPreviousPage;
    this.count = around.count;
  }

  get edges(): readonly Edge<Row>[] {
    return this.nodes.map((node, at) => new ReadEdge(node, at, this.cursorAt));
  }

  get pageInfo(): PageInfo {
    return this;
  }

  get startCursor(): string | null {
    return this.nodes.length === 0 ? null : this.cursorAt(0);
  }

  get endCursor(): string | null {
    return this.nodes.length === 0 ? null : this.cursorAt(this.nodes.length - 1);
  }
}

class ReadEdge<Row> implements Edge<Row> {
  constructor(
    readonly node: Row,
    private readonly at: number,
    private readonly cursorAt: (at: number) => string,
  ) {}

  get cursor(): string {
    return this.cursorAt(this.at);
  }
}

export const defaultPageSize = 20;
export const maxPageSize = 100;
/** Counting is exact up to here: an exact count of a large tenant costs more than a thousand pages. */
const countLimit = 10_000;

/** Keyset paging: a page starts after a row instead of a number of rows, so it costs the same at any depth, and new rows do not shift it. */
@Injectable()
export class Paging {
  constructor(
    private readonly database: TenantDatabase,
    private readonly cursors: CursorSigner,
  ) {}

  async page<Row, Raw>(
    source: ListSource<Row, Raw>,
    tenant: string,
    filter: Record<string, unknown>,
    given: PageArguments,
  ): Promise<Page<Row>> {
    const list = { tenant, list: source.name, filter };
    const { backward, size, from } = this.request(list, given);
    const values = [tenant, filter, from?.key ?? null, from?.id ?? null, backward, size + 1];
    const found = await this.database.query<Raw>(source.page, values);
    const more = found.length > size;
    const raws = backward ? found.slice(0, size).toReversed() : found.slice(0, size);
    const nodes = raws.map(source.rowOf);
    const cursorAt = (at: number): string => this.cursors.encode(list, source.positionOf(raws[at]!));
    const isContinued = from !== null;
    return new ReadPage(nodes, cursorAt, {
      hasNextPage: backward ? isContinued : more,
      hasPreviousPage: backward ? more : isContinued,
      count: () => this.count(source, tenant, filter),
    });
  }

  private request(
    list: ListIdentity,
    { first, after, last, before }: PageArguments,
  ): { backward: boolean; size: number; from: Position | null } {
    if (first != null && last != null)
      throw new ArgumentInvalid('last', 'stands for paging backward and first for forward: give one of them');
    const backward = last != null || (before != null && first == null);
    const wrongEnd = backward ? after : before;
    if (wrongEnd != null) {
      throw new ArgumentInvalid(
        backward ? 'after' : 'before',
        `goes with ${backward ? 'first' : 'last'}, not with ${backward ? 'last' : 'first'}`,
      );
    }
    const size = (backward ? last : first) ?? defaultPageSize;
    if (size < 1 || size > maxPageSize) throw new ArgumentInvalid(backward ? 'last' : 'first', `must be from 1 to ${maxPageSize}`);
    return { backward, size, from: this.position(list, backward ? 'before' : 'after', backward ? before : after) };
  }

  private position(list: ListIdentity, argument: string, cursor: string | null | undefined): Position | null {
    if (cursor == null) return null;
    const position = this.cursors.decode(list, cursor);
    if (position === null) throw new ArgumentInvalid(argument, 'is not a cursor of this list with this filter');
    return position;
  }

  private async count(source: Pick<ListSource<never, never>, 'count'>, tenant: string, filter: Record<string, unknown>): Promise<Count> {
    const [row] = await this.database.query<{ found: number }>(source.count, [tenant, filter, countLimit + 1]);
    const found = row?.found ?? 0;
    return { value: Math.min(found, countLimit), exact: found <= countLimit };
  }
}
