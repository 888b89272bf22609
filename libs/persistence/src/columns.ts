/** The values that a column of each SQL type takes, besides null and undefined for NULL. */
interface SqlTypes {
  text: string;
  integer: number;
  bigint: number | string;
  float8: number;
  boolean: boolean;
  /** JSON text, which Postgres keeps as it is. */
  json: string;
  bytea: Buffer;
  timestamptz: Date | string;
}

type Column<Row> = {
  [Type in keyof SqlTypes]: readonly [type: Type, value: (row: Row) => SqlTypes[Type] | null | undefined];
}[keyof SqlTypes];

/** The columns of rows that one statement takes as an array per column, which costs Postgres less than a parameter per value. */
export interface Columns<Row> {
  /** The names, for a select or insert list: `tenant_id, id`. */
  readonly names: string;
  /** How many parameters the rows take. */
  readonly size: number;
  /** The arrays as arguments of a function: `$1::text[], $2::text[]`. `from` is as in {@link unnest}. */
  parameters(from?: number): string;
  /**
   * The rows as a table of the FROM clause: `unnest($1::text[], $2::text[]) AS event (tenant_id, id)`.
   * @param from the number of the first parameter; default 1
   */
  unnest(table: string, from?: number): string;
  /** Like {@link unnest}, with a last column `number` that counts the rows from 1, in the order in which they were given. */
  unnestNumbered(table: string, from?: number): string;
  /** The parameters: one array per column, with null for each value that is missing. */
  values(rows: readonly Row[]): unknown[][];
}

/** Declares columns by name, each with its SQL type and its value in a row. Text and parameters of a statement follow from it. */
export function columns<Row>(declared: Readonly<Record<string, Column<Row>>>): Columns<Row> {
  const names = Object.keys(declared).join(', ');
  const all = Object.values(declared);
  const parameters = (from = 1): string => all.map(([type], at) => `$${from + at}::${type}[]`).join(', ');
  return {
    names,
    size: all.length,
    parameters,
    unnest: (table, from) => `unnest(${parameters(from)}) AS ${table} (${names})`,
    unnestNumbered: (table, from) => `unnest(${parameters(from)}) WITH ORDINALITY AS ${table} (${names}, number)`,
    values: (rows) => all.map(([, value]) => rows.map((row) => value(row) ?? null)),
  };
}
