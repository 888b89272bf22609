import { parseStoredJson } from '#libs/json';
import type { Json } from '#libs/json';
import type { ConnectionHealth, OperationResult } from '../connector.js';
import type { Driver, DriverCall, DriverTools, DriverUse } from '../driver.js';
import { OperationFailure } from '../operation.errors.js';
import { Sessions } from '../sessions.js';
import { PostgresSession } from './postgres.session.js';
import { statementOf, valuesOf } from '../fixed-statement.js';
import type { FixedStatement, StatementValues } from '../fixed-statement.js';

const mostRowsWritten = 1_000;

/** Runs statements that connections fix, each in a transaction of its own. */
export class PostgresDriver implements Driver {
  private readonly sessions: Sessions<PostgresSession>;

  constructor({ http }: DriverTools) {
    const kind = {
      open: (use: DriverUse) => PostgresSession.open(use, http),
      close: (session: PostgresSession) => session.close(),
      isUsable: (session: PostgresSession) => session.isUsable,
      refresh: (session: PostgresSession) => session.refresh(),
    };
    this.sessions = new Sessions(kind, { idleMs: 10_000, mostIdle: 4 });
  }

  async run(call: DriverCall): Promise<OperationResult> {
    const statement = statementOf(call);
    const values = valuesOf(statement, call.input);
    return this.sessions.use(call, (session) => {
      if (call.operation === 'read') return read(session, call, statement, values);
      return call.operation === 'upsert' ? upsert(session, call, statement, values) : writeOnce(session, call, statement, values);
    });
  }

  async check(use: DriverUse): Promise<ConnectionHealth> {
    return this.sessions.use(use, async (session) => {
      await session.transaction(use, { isWrite: false }, async () => undefined);
      return { account: use.login.username };
    });
  }

  async close(): Promise<void> {
    await this.sessions.close();
  }
}

/** A cursor bounds the rows, and takes no statement that writes. */
async function read(session: PostgresSession, call: DriverCall, { sql, maxRows = 1_000 }: FixedStatement, values: StatementValues) {
  const rows = await session.transaction(call, { isWrite: false }, async () => {
    await session.query(`declare millrace_rows no scroll cursor for ${sql}`, values);
    return (await session.query(`fetch ${maxRows + 1} from millrace_rows`, [])).rows;
  });
  const output = { rows: rows.slice(0, maxRows), isComplete: rows.length <= maxRows };
  return { output, receipt: { summary: `${output.rows.length} rows`, detail: {} } };
}

async function upsert(session: PostgresSession, call: DriverCall, statement: FixedStatement, values: StatementValues) {
  const output = await session.transaction(call, { isWrite: true }, () => written(session, statement, values));
  return { output, receipt: { summary: `${output.count} rows written`, detail: {} } };
}

/** The note of the effect is written with the effect, so that neither is there without the other. A repeat finds the note, and gives its output. */
async function writeOnce(session: PostgresSession, call: DriverCall, statement: FixedStatement, values: StatementValues) {
  const { effectKey } = call;
  return session.transaction(call, { isWrite: true }, async (): Promise<OperationResult> => {
    const noted = await session.query('insert into millrace_effect (effect_key) values ($1) on conflict do nothing', [effectKey]);
    if (noted.rowCount === 0) {
      const { rows } = await session.query('select output::text as output from millrace_effect where effect_key = $1', [effectKey]);
      const output = parseStoredJson(rows[0]!['output'] as string);
      return { output, receipt: { summary: 'the effect of an earlier attempt', detail: {} } };
    }
    const output = await written(session, statement, values);
    await session.query('update millrace_effect set output = $2 where effect_key = $1', [effectKey, JSON.stringify(output)]);
    return { output, receipt: { summary: `${output.count} rows written`, detail: {} } };
  });
}

async function written(
  session: PostgresSession,
  { sql }: FixedStatement,
  values: StatementValues,
): Promise<{ count: number; rows: Json[] }> {
  const { rowCount, rows } = await session.query(sql, values);
  if (rows.length > mostRowsWritten) {
    const message = `The statement returned more than ${mostRowsWritten} rows, and was undone: return fewer`;
    throw new OperationFailure('operation.refused', message, { peer: 'up' });
  }
  return { count: rowCount ?? 0, rows };
}
