import type { Socket } from 'node:net';
import { Client } from 'pg';
import type { QueryResult } from 'pg';
import type { HttpClient } from '#libs/http';
import type { Json } from '#libs/json';
import { DatabaseSession, openDatabase } from '../database-session.js';
import type { DatabaseAccess, TransactionOptions } from '../database-session.js';
import type { DriverUse } from '../driver.js';
import { OperationFailure } from '../operation.errors.js';
import { columnTypes } from './column-types.js';
import { failureOf } from './postgres.failure.js';
import type { StatementValues } from '../fixed-statement.js';

export type Row = { [column: string]: Json };

interface Facts {
  readonly role: string;
  readonly isExempt: boolean;
  readonly isPlatform: boolean;
}

/** One session with a PostgreSQL database. */
export class PostgresSession extends DatabaseSession {
  private constructor(
    private readonly client: Client,
    access: DatabaseAccess,
  ) {
    super(access, failureOf);
    client.on('error', () => (this.isOver = true));
    client.on('end', () => (this.isOver = true));
  }

  /** @throws OperationFailure, the signal's reason */
  static open(use: DriverUse, http: HttpClient): Promise<PostgresSession> {
    return openDatabase(use, { http, scheme: 'postgres', failureOf }, async (access) => {
      const { host, username, password, socket, tls } = access;
      socket.connect = () => socket; // it connects already, to the address that was checked
      const client = new Client({
        host,
        port: use.settings['port'] as number,
        database: use.settings['database'] as string,
        user: username,
        password,
        application_name: 'millrace',
        client_encoding: 'UTF8',
        options: '-c datestyle=ISO -c intervalstyle=iso_8601 -c timezone=UTC',
        ssl: tls ?? false,
        stream: () => socket,
        types: columnTypes,
      });
      const session = new PostgresSession(client, access);
      await client.connect();
      session.countBytes();
      await session.requireOrdinary();
      return session;
    });
  }

  /** Runs one statement. Its text can hold no second one: values are sent apart from it, by the extended protocol. */
  query(text: string, values: StatementValues): Promise<QueryResult<Row>> {
    return this.client.query({ text, values: [...values], queryMode: 'extended' } as never);
  }

  /** pg has no other way to end a session at once. With TLS, its stream is another one than the socket that it was given. */
  protected get socket(): Socket {
    return (this.client as unknown as { connection: { stream: Socket } }).connection.stream;
  }

  protected async begin({ isWrite }: TransactionOptions, leftMs: number): Promise<void> {
    await this.client.query(`begin ${isWrite ? 'read write' : 'read only'}; set local statement_timeout = ${Math.floor(leftMs)}`);
  }

  protected commit(): Promise<unknown> {
    return this.client.query('commit');
  }

  protected async reset(): Promise<void> {
    await this.client.query('discard all');
  }

  /** @throws OperationFailure for a role that no grant binds, and for a database of Millrace itself */
  private async requireOrdinary(): Promise<void> {
    const { rows } = await this.client.query<Facts>(
      `select rolname::text as role, rolsuper or rolbypassrls as "isExempt",
        to_regclass('public.step_result') is not null and to_regclass('public.delivery_command') is not null as "isPlatform"
      from pg_roles where rolname = current_user`,
    );
    const { role, isExempt, isPlatform } = rows[0]!;
    const refuse = (message: string): OperationFailure => new OperationFailure('operation.refused', message, { peer: 'up' });
    if (isPlatform) throw refuse('The database of the connection is one in which Millrace keeps its own data: use another one');
    if (isExempt)
      throw refuse(
        `The role ${role} is a superuser or bypasses row-level security: use one that has only the grants that the statements need`,
      );
  }
}
