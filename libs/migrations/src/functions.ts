import { createHash } from 'node:crypto';
import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { DatabaseError } from 'pg';
import type { Client } from 'pg';

/** An SQL function of this build. */
export interface SqlFunction {
  /** Unique: a name stands for one function, whatever its arguments. */
  readonly name: string;
  /** The statement that creates it, as it stands in its file. */
  readonly text: string;
}

/** The root of the sources, or of `dist`, which has the same folders. */
const treeRoot = fileURLToPath(new URL('../../..', import.meta.url));
const functionPattern = /^CREATE OR REPLACE FUNCTION ([a-z][a-z0-9_]*)\(.*?\$\$;$/gms;
const commentOrBlank = /^(--.*)?$/;

/**
 * Reads the functions of this build: every `*.functions.sql` of an app or lib.
 * @throws Error where a file holds something other than `CREATE OR REPLACE FUNCTION … $$;`, or two functions have one name
 */
export function readFunctions(root = treeRoot): SqlFunction[] {
  const files = globSync('{apps,libs}/*/src/**/*.functions.sql', { cwd: root }).toSorted();
  // Without this check an incomplete build would drop every function of the database.
  if (files.length === 0) throw new Error(`There is no *.functions.sql under ${root}: the build is incomplete`);
  const functions = new Map<string, SqlFunction & { file: string }>();
  for (const file of files) {
    for (const found of functionsIn(file, readFileSync(path.join(root, file), 'utf8'))) {
      const other = functions.get(found.name);
      if (other !== undefined) throw new Error(`${file} and ${other.file} both create the function ${found.name}`);
      functions.set(found.name, { ...found, file });
    }
  }
  return [...functions.values()].map(({ name, text }) => ({ name, text }));
}

function functionsIn(file: string, content: string): SqlFunction[] {
  const rest = content.replaceAll(functionPattern, '').split('\n');
  const stray = rest.find((line) => !commentOrBlank.test(line.trim()));
  if (stray !== undefined)
    throw new Error(`${file} may hold functions (CREATE OR REPLACE FUNCTION … $$;) and comments only, not: ${stray.trim()}`);
  return [...content.matchAll(functionPattern)].map(([text, name]) => ({ name: name!, text }));
}

/** Identifies a set of functions by their texts. */
export function digestOf(functions: readonly SqlFunction[]): string {
  const lines = functions.map((each) => `${each.name} ${textDigest(each)}`).toSorted();
  return createHash('sha256').update(lines.join('\n')).digest('hex');
}

function textDigest({ text }: SqlFunction): string {
  return createHash('sha256').update(text).digest('hex');
}

/**
 * Makes the functions of the database those of this build, in one transaction: creates what is new or has another text, drops what this build
 * does not have, and leaves the rest untouched. The caller holds the migration lock.
 */
export async function applyFunctions(client: Client, functions: readonly SqlFunction[]): Promise<void> {
  await client.query('BEGIN');
  try {
    const applied = await appliedDigests(client);
    const changed = functions.filter((each) => applied.get(each.name) !== textDigest(each));
    const removed = [...applied.keys()].filter((name) => !functions.some((each) => each.name === name));
    await drop(client, [...(await signaturesOf(client, removed)).values()].flat());
    await client.query('DELETE FROM sql_function WHERE name = ANY ($1)', [removed]);
    await create(client, changed);
    await noteRelease(client, digestOf(functions));
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined); // the first error says more
    throw error;
  }
}

async function appliedDigests(client: Client): Promise<Map<string, string>> {
  const { rows } = await client.query<{ name: string; digest: string }>('SELECT name, digest FROM sql_function');
  return new Map(rows.map(({ name, digest }) => [name, digest]));
}

async function create(client: Client, functions: readonly SqlFunction[]): Promise<void> {
  if (functions.length === 0) return;
  const names = functions.map(({ name }) => name);
  const before = await signaturesOf(client, names);
  for (const each of functions) await createOne(client, each, before.get(each.name) ?? []);
  const after = await signaturesOf(client, names);
  // With other arguments than before, a function was created beside the old one.
  const overloaded = [...after].filter(([, signatures]) => signatures.length > 1).map(([name]) => name);
  await drop(
    client,
    overloaded.flatMap((name) => before.get(name) ?? []),
  );
  const list = [...(await signaturesOf(client, names)).values()].flat().join(', ');
  await client.query(`REVOKE ALL ON FUNCTION ${list} FROM PUBLIC; GRANT EXECUTE ON FUNCTION ${list} TO millrace_service, millrace_query`);
  await client.query(
    `INSERT INTO sql_function (name, digest) SELECT * FROM unnest($1::text[], $2::text[])
     ON CONFLICT (name) DO UPDATE SET digest = EXCLUDED.digest`,
    [names, functions.map(textDigest)],
  );
}

/** SQLSTATE of a statement that would change the return type or an argument's name, which only dropping first can do. */
const invalidFunctionDefinition = '42P13';

async function createOne(client: Client, { text }: SqlFunction, existing: readonly string[]): Promise<void> {
  try {
    await client.query(`SAVEPOINT before_function; ${text}; RELEASE SAVEPOINT before_function`);
  } catch (error) {
    if (!(error instanceof DatabaseError && error.code === invalidFunctionDefinition) || existing.length === 0) throw error;
    await client.query('ROLLBACK TO SAVEPOINT before_function');
    await drop(client, existing);
    await client.query(text);
  }
}

async function drop(client: Client, signatures: readonly string[]): Promise<void> {
  if (signatures.length > 0) await client.query(`DROP FUNCTION IF EXISTS ${signatures.join(', ')}`);
}

/** The functions of these names that the database has, such as `event_state(text,text)`. */
async function signaturesOf(client: Client, names: readonly string[]): Promise<Map<string, string[]>> {
  const { rows } = await client.query<{ name: string; signatures: string[] }>(
    `SELECT proname AS name, array_agg(oid::regprocedure::text ORDER BY oid) AS signatures FROM pg_proc
     WHERE pronamespace = current_schema()::regnamespace AND proname = ANY ($1) GROUP BY proname`,
    [names],
  );
  return new Map(rows.map(({ name, signatures }) => [name, signatures]));
}

/** Appends to the history of applied sets, unless the newest entry is this set already. */
async function noteRelease(client: Client, digest: string): Promise<void> {
  await client.query(
    `INSERT INTO sql_function_release (digest)
     SELECT $1 WHERE $1 IS DISTINCT FROM (SELECT digest FROM sql_function_release ORDER BY id DESC LIMIT 1)`,
    [digest],
  );
}
