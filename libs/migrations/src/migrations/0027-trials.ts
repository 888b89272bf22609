import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Flows that are tried on events without effects, and what they did on each. */
export class Trials1795219200026 implements MigrationInterface {
  name = 'Trials1795219200026';

  async up(runner: QueryRunner): Promise<void> {
    for (const statement of [...tables, ...rights]) await runner.query(statement);
  }

  async down(): Promise<void> {
    throw new Error('A process may be at work on a trial: a later migration takes the tables away.');
  }
}

const tables = [
  // kind: try, backtest. Exactly one of flow_version and document is set: the version that is tried, or a document that is not applied.
  // events: {eventId, sample, filter}, of which one is not null. step: the only step that is tried. outputs: of steps that are not done, by path or id.
  // position: the last event of the list that was looked at; null before the first. scanned: events that were looked at. skipped: of these, those that the
  // flow does not run on and never ran on. stopped_by: cost, time; null if neither ended it.
  `CREATE TABLE trial (
    tenant_id key_text NOT NULL, id key_text NOT NULL, kind key_text NOT NULL, flow key_text NOT NULL, flow_version integer, document json, events json NOT NULL,
    step text, outputs json NOT NULL, max_events integer NOT NULL, max_seconds integer NOT NULL, max_cost_nanos bigint, max_cost_currency text,
    state text NOT NULL DEFAULT 'running', stopped_by text, position json, scanned integer NOT NULL DEFAULT 0, skipped integer NOT NULL DEFAULT 0,
    actor text NOT NULL, fence bigint NOT NULL DEFAULT 0, lease_until timestamptz(3), error_code text, error_message text,
    asked_at timestamptz(3) NOT NULL DEFAULT clock_timestamp(), started_at timestamptz(3), finished_at timestamptz(3),
    PRIMARY KEY (tenant_id, id),
    CHECK (kind IN ('try', 'backtest')),
    CHECK (stopped_by IN ('cost', 'time')),
    CHECK (state IN ('running', 'completed', 'cancelled', 'failed')))`,
  `CREATE INDEX trial_asked ON trial (tenant_id, asked_at, id)`,
  `CREATE INDEX trial_running ON trial (tenant_id, kind, asked_at) WHERE state = 'running'`,

  // change: same, different, new, notRun, failed, recovered. decision, deliveries, steps: what the flow did; steps is null if it is too large to be kept.
  // costs, base_costs: billionths by currency. base_run_id: the run that it is compared with; null if there is none. difference_count: also of those that
  // are not kept. obstacle: why it cannot become a generation of the event; null if it can.
  `CREATE TABLE trial_outcome (
    tenant_id key_text NOT NULL, trial_id key_text NOT NULL, event_id key_text NOT NULL, ordinal integer NOT NULL, customer key_text NOT NULL,
    received_at timestamptz(3) NOT NULL, change text NOT NULL, is_match boolean NOT NULL, decision json, deliveries json NOT NULL, steps json, error_code text,
    error_message text, costs json NOT NULL, duration_ms integer, base_run_id key_text, base_costs json NOT NULL, base_duration_ms integer,
    differences json NOT NULL, difference_count integer NOT NULL, obstacle text, at timestamptz(3) NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, trial_id, event_id),
    CHECK (change IN ('same', 'different', 'new', 'notRun', 'failed', 'recovered')))`,
  `CREATE INDEX trial_outcome_ordinal ON trial_outcome (tenant_id, trial_id, ordinal)`,
];

const rights = ['trial', 'trial_outcome'].flatMap((name) => [
  `ALTER TABLE ${name} ENABLE ROW LEVEL SECURITY`,
  `ALTER TABLE ${name} FORCE ROW LEVEL SECURITY`,
  `CREATE POLICY service ON ${name} TO millrace_service USING (true) WITH CHECK (true)`,
  `CREATE POLICY tenant ON ${name} TO millrace_query
     USING (tenant_id = current_setting('millrace.tenant', true)) WITH CHECK (tenant_id = current_setting('millrace.tenant', true))`,
  `GRANT SELECT, INSERT, UPDATE, DELETE ON ${name} TO millrace_service`,
  `GRANT SELECT ON ${name} TO millrace_query`,
]);
