import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * The tables in which `libs/migrations/src/functions.ts` notes the SQL functions that it applied. Earlier migrations created functions themselves.
 * Their functions are noted without a digest, so that `migrate` creates each again, or drops it when the build does not have it.
 */
export class SqlFunctions1795219200007 implements MigrationInterface {
  name = 'SqlFunctions1795219200007';

  async up(runner: QueryRunner): Promise<void> {
    for (const statement of tables) await runner.query(statement);
    const existing = `SELECT DISTINCT proname FROM pg_proc WHERE pronamespace = current_schema()::regnamespace AND proname = ANY ($1)`;
    await runner.query(`INSERT INTO sql_function (name, digest) SELECT proname, '' FROM (${existing}) AS found`, [createdByMigrations]);
  }

  async down(): Promise<void> {
    throw new Error('Without these tables no service starts: drop the database instead.');
  }
}

const tables = [
  `CREATE TABLE sql_function (name key_text PRIMARY KEY, digest text NOT NULL)`,
  // One row each time another set of functions was applied; the newest row names the set that the database has.
  `CREATE TABLE sql_function_release (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, digest text NOT NULL, applied_at timestamptz(3) NOT NULL DEFAULT clock_timestamp())`,
  // A service reads it at its start.
  `GRANT SELECT ON sql_function_release TO millrace_service, millrace_query`,
];

/** The functions that migrations 0001 to 0007 created before this one existed. */
const createdByMigrations = `
  attempts_of_deliveries bulk_operation_conditions bulk_operation_count bulk_operation_page bulk_operations_by_id
  customer_by_key_conditions customer_by_key_count customer_by_key_page customer_by_last_event_conditions
  customer_by_last_event_count customer_by_last_event_page customers_by_key dead_letter_conditions dead_letter_count
  dead_letter_page dead_letters_by_id dead_letters_of_events deliveries_by_id deliveries_of_events deliveries_of_runs
  delivery_conditions delivery_count delivery_page event_bodies event_conditions event_count event_page event_state event_states
  event_timelines events_by_id holds_of_customers holds_of_dead_letters model_attempts_of_runs notify_configuration
  redelivery_of_dead_letters_count redelivery_of_dead_letters_items redelivery_of_deliveries_count redelivery_of_deliveries_items
  replay_of_dead_letters_count replay_of_dead_letters_items replay_of_events_count replay_of_events_items run_conditions run_count
  run_page runs_by_id runs_of_events steps_of_runs
`
  .trim()
  .split(/\s+/);
