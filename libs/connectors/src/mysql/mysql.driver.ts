import { parseStoredJson } from '#libs/json';
import type { Json } from '#libs/json';
import type { ConnectionHealth, OperationResult } from '../connector.js';
import type { Driver, DriverCall, DriverTools, DriverUse } from '../driver.js';
import { statementOf, valuesOf } from '../fixed-statement.js';
import type { FixedStatement, StatementValues } from '../fixed-statement.js';
import { OperationFailure } from '../operation.errors.js';
import { Sessions } from '../sessions.js';
import { duplicateKey } from './mysql.failure.js';
import { MysqlSession } from './mysql.session.js';

const mostRowsWritten = 1_000;
/** MySQL has numbers for true and false. */
const booleans = ['1', '0'] as const;

/** Runs statements that connections fix, each in a transaction of its own. */
export class MysqlDriver implements Driver {
  private readonly sessions: Sessions<MysqlSession>;

  constructor({ http }: DriverTools) {
    const kind = {
      open: (use: DriverUse) => MysqlSession.open(use, http),
      close: (session: MysqlSession) => session.close(),
      isUsable: (session: MysqlSession) => session.isUsable,
      refresh: (session: MysqlSession) => session.refresh(),
    };
    this.sessions = new Sessions(kind, { idleMs: 10_000, mostIdle: 4 });
  }

  async run(call: DriverCall): Promise<OperationResult> {
    const statement = statementOf(call);
    const values = valuesOf(statement, call.input, { booleans });
    return this.sessions.use(call, (session) => {
      if (call.operation === 'read') return read(session, call, statement, values);
      return call.operation === 'upsert' ? upsert(session, call, statement, values) : writeOnce(session, call, statement, values);
    });
  }

  async check(use: DriverUse): Promise<ConnectionHealth> {
    return this.sessions.use(use, async (session) => {
      await session.transaction(use, { isWrite: false, mostRows: 1 }, async () => undefined);
      return { account: use.login.username };
    });
  }

  async close(): Promise<void> {
    await this.sessions.close();
  }
}

/** A transaction that only reads takes no statement that writes. */
async function read(session: MysqlSession, call: DriverCall, { sql, maxRows = 1_000 }: FixedStatement, values: StatementValues) {
  const { rows } = await session.transaction(call, { isWrite: false, mostRows: maxRows }, () => session.query(sql, values));
  const output = { rows: rows.slice(0, maxRows), isComplete: rows.length <= maxRows };
  return { output, receipt: { summary: `${output.rows.length} rows`, detail: {} } };
}

async function upsert(session: MysqlSession, call: DriverCall, statement: FixedStatement, values: StatementValues) {
  const output = await session.transaction(call, { isWrite: true, mostRows: mostRowsWritten }, async () => {
    await requireOnlyKey(session, statement.key!);
    return written(session, statement, values);
  });
  return { output, receipt: { summary: `${output.count} rows written`, detail: {} } };
}

/** With a second unique index, `on duplicate key` may change another row than the one of this key. @throws OperationFailure */
async function requireOnlyKey(session: MysqlSession, { table, columns }: NonNullable<FixedStatement['key']>): Promise<void> {
  const { rows } = await session.query(
    `select index_name as name, column_name as field from information_schema.statistics
    where table_schema = database() and table_name = ? and non_unique = 0`,
    [table],
  );
  const indexes = Map.groupBy(rows, ({ name }) => name as string);
  const [only = []] = indexes.values();
  const has = new Set(only.map(({ field }) => (field as string).toLowerCase()));
  const isKey = indexes.size === 1 && has.size === columns.length && columns.every((column) => has.has(column.toLowerCase()));
  if (isKey) return;
  const found = [...indexes.keys()].join(', ') || 'none that this account sees';
  const message = `An upsert needs a table with one unique index, of ${columns.join(', ')}, and ${table} has ${found}: run the statement by the operation write, which is exactly once`;
  throw new OperationFailure('operation.refused', message, { peer: 'up' });
}

/** The note of the effect is written with the effect, so that neither is there without the other. A repeat finds the note, and gives its output. */
async function writeOnce(session: MysqlSession, call: DriverCall, statement: FixedStatement, values: StatementValues) {
  const { effectKey } = call;
  return session.transaction(call, { isWrite: true, mostRows: mostRowsWritten }, async (): Promise<OperationResult> => {
    if (!(await note(session, effectKey))) {
      const { rows } = await session.query('select output from millrace_effect where effect_key = ?', [effectKey]);
      const { output } = rows[0]!;
      const known = typeof output === 'string' ? parseStoredJson(output) : output!;
      return { output: known, receipt: { summary: 'the effect of an earlier attempt', detail: {} } };
    }
    const output = await written(session, statement, values);
    await session.query('update millrace_effect set output = ? where effect_key = ?', [JSON.stringify(output), effectKey]);
    return { output, receipt: { summary: `${output.count} rows written`, detail: {} } };
  });
}

/** @returns false if an earlier attempt left the note */
async function note(session: MysqlSession, effectKey: string): Promise<boolean> {
  try {
    await session.query('insert into millrace_effect (effect_key) values (?)', [effectKey]);
    return true;
  } catch (error) {
    if ((error as { errno?: number }).errno === duplicateKey) return false;
    throw error;
  }
}

async function written(session: MysqlSession, { sql }: FixedStatement, values: StatementValues): Promise<{ count: number; rows: Json[] }> {
  const { changed, rows } = await session.query(sql, values);
  if (rows.length > mostRowsWritten) {
    const message = `The statement returned more than ${mostRowsWritten} rows, and was undone: return fewer`;
    throw new OperationFailure('operation.refused', message, { peer: 'up' });
  }
  return { count: rows.length === 0 ? changed : rows.length, rows: [...rows] };
}
