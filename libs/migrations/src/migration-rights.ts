import type { Client } from 'pg';

/** Postgres cannot be migrated as it is: it is too old, or the login lacks a right. The message says what an administrator has to do. */
export class MigrationRefused extends Error {
  override readonly name = 'MigrationRefused';

  constructor(message: string, cause?: unknown) {
    super(message, { cause });
  }
}

/** The lowest version that the documentation promises and CI tests. */
const oldestMajor = 15;
const roles = ['millrace_service', 'millrace_query'];

interface Rights {
  login: string;
  database: string;
  version: number;
  mayCreateRoles: boolean;
  mayCreateTables: boolean;
  /** Null where nothing was ever migrated. */
  owner: string | null;
  actsAsOwner: boolean | null;
}

const rightsOfLogin = `SELECT current_user AS login, current_database() AS database, current_setting('server_version_num')::integer AS version,
   (SELECT rolcreaterole OR rolsuper FROM pg_roles WHERE rolname = current_user) AS "mayCreateRoles",
   has_schema_privilege('public', 'CREATE') AS "mayCreateTables",
   pg_get_userbyid(migration.relowner) AS owner, pg_has_role(migration.relowner, 'USAGE') AS "actsAsOwner"
 FROM (SELECT) AS login LEFT JOIN pg_class AS migration ON migration.oid = to_regclass('public.migration')`;

interface RoleRights {
  name: string;
  exists: boolean;
  /** True if the login can take the role, or grant itself membership in it. */
  isReachable: boolean;
}

/** Before version 16, a login that may create roles may grant every role that is no superuser. From 16 on, it needs the admin option. */
const rightsOnRoles = `SELECT name, rolname IS NOT NULL AS exists, coalesce(
     CASE WHEN current_setting('server_version_num')::integer < 160000
       THEN pg_has_role(role.oid, 'MEMBER') OR (SELECT rolcreaterole FROM pg_roles WHERE rolname = current_user)
       ELSE pg_has_role(role.oid, 'SET') OR pg_has_role(role.oid, 'MEMBER WITH ADMIN OPTION') END, false) AS "isReachable"
 FROM unnest($1::text[]) AS name LEFT JOIN pg_roles AS role ON rolname = name`;

/**
 * Checks what a migration needs, before it changes anything.
 * @throws MigrationRefused with one sentence for the first thing that is missing
 */
export async function requireMigrationRights(client: Client): Promise<void> {
  const version = Number(
    (await client.query<{ version: string }>(`SELECT current_setting('server_version_num') AS version`)).rows[0]!.version,
  );
  if (version < oldestMajor * 10_000) {
    throw new MigrationRefused(`Postgres ${Math.floor(version / 10_000)} is too old: Millrace needs Postgres ${oldestMajor} or newer.`);
  }
  const rights = (await client.query<Rights>(rightsOfLogin)).rows[0]!;
  const onRoles = (await client.query<RoleRights>(rightsOnRoles, [roles])).rows;
  const problem = problemOf(rights) ?? problemOfRoles(rights, onRoles);
  if (problem !== undefined) throw new MigrationRefused(problem);
}

function problemOf({ login, database, mayCreateTables, owner, actsAsOwner }: Rights): string | undefined {
  if (owner !== null && actsAsOwner !== true) {
    return `The tables of the database ${database} belong to ${owner}, not to ${login}: migrate with the login ${owner}.`;
  }
  if (mayCreateTables) return undefined;
  return (
    `The login ${login} may not create tables in the schema public of the database ${database}: ` +
    `as an administrator, run ALTER DATABASE "${database}" OWNER TO "${login}", then migrate again.`
  );
}

function problemOfRoles({ login, mayCreateRoles }: Rights, onRoles: readonly RoleRights[]): string | undefined {
  const missing = onRoles.filter(({ exists }) => !exists).map(({ name }) => name);
  if (missing.length > 0 && !mayCreateRoles) {
    return (
      `The login ${login} may not create the ${plural('role', missing)}: as an administrator, run ` +
      `${missing.map((name) => `CREATE ROLE ${name}; `).join('')}GRANT ${missing.join(', ')} TO "${login}", then migrate again.`
    );
  }
  const unreachable = onRoles.filter(({ exists, isReachable }) => exists && !isReachable).map(({ name }) => name);
  if (unreachable.length === 0) return undefined;
  return (
    `The login ${login} is no member of the ${plural('role', unreachable)} and may not become one: ` +
    `as an administrator, run GRANT ${unreachable.join(', ')} TO "${login}", then migrate again.`
  );
}

function plural(noun: string, names: readonly string[]): string {
  return `${noun}${names.length > 1 ? 's' : ''} ${names.join(' and ')}`;
}
