import { Database, statement } from '#libs/persistence';

/** Rows as the services would have written them, for tests of what is read. Every field has a value that a test may replace. */
export class Rows {
  private constructor(private readonly database: Database) {}

  static async at(url: string): Promise<Rows> {
    return new Rows(await Database.connect({ url, role: 'millrace_service', applicationName: 'test rows' }));
  }

  close(): Promise<void> {
    return this.database.close();
  }

  async event(row: {
    tenant: string;
    id: string;
    customer?: string;
    source?: string;
    type?: string;
    receivedAt?: Date;
    recordedAt?: Date;
    contentType?: string;
    body?: string;
    /** The only flow that runs on it. */
    requestOf?: string;
  }): Promise<void> {
    const { tenant, id, customer = 'cus-1', source = 'stripe', type = 'invoice.paid', receivedAt = new Date() } = row;
    const { recordedAt = new Date() } = row;
    const { contentType = 'application/json', body = '{"total":1}' } = row;
    await this.database.query(insertCustomer, [tenant, customer, receivedAt]);
    const request = row.requestOf === undefined ? null : JSON.stringify({ flow: row.requestOf, flowVersion: 1 });
    const written = [contentType, Buffer.from(body), recordedAt, request];
    await this.database.query(insertEvent, [tenant, id, source, customer, type, receivedAt, ...written]);
  }

  async request(row: {
    tenant: string;
    id: string;
    source?: string;
    outcome?: string;
    code?: string | null;
    receivedAt?: Date;
    headers?: Readonly<Record<string, string>>;
    query?: string | null;
    redacted?: readonly string[];
    isVerified?: boolean;
    body?: string | Buffer;
    /** Default: all of the body is kept. */
    bodyBytes?: number;
    /** The events that it brought. */
    events?: readonly string[];
  }): Promise<void> {
    const {
      tenant,
      id,
      source = 'stripe',
      outcome = 'refused',
      receivedAt = new Date(),
      headers = {},
      query = null,
      redacted = [],
      isVerified = false,
    } = row;
    const { body = '{}', bodyBytes = Buffer.byteLength(body), events = [] } = row;
    const code = row.code === undefined ? 'signature.mismatch' : row.code;
    const list = Object.entries(headers).map(([name, value]) => ({ name, value }));
    const values = [tenant, id, source, outcome, code, receivedAt, JSON.stringify(list), JSON.stringify(redacted), isVerified];
    await this.database.query(insertRequest, [...values, Buffer.from(body), bodyBytes, `/webhooks/${tenant}.${source}`, query]);
    await this.database.query(insertRequestEvents, [tenant, id, events]);
  }

  /** A provider of the installation, as `ai-processing` notes it. */
  async modelProvider(row: {
    address: string;
    models: readonly string[] | null;
    listedAt?: Date | null;
    errorCode?: string;
    errorMessage?: string;
    usedAt?: Date;
  }): Promise<void> {
    const {
      address,
      models,
      listedAt = models === null ? null : new Date(),
      errorCode = null,
      errorMessage = null,
      usedAt = new Date(),
    } = row;
    await this.database.query(saveModelProvider, [address, models, listedAt, errorCode, errorMessage, usedAt]);
  }

  /** Calls of a flow to one model on a day, as `ai-processing` counts them. */
  async modelSpend(row: {
    tenant: string;
    day: string;
    flow?: string;
    provider?: string;
    model?: string;
    currency?: string;
    calls?: number;
    costNanos?: number;
  }): Promise<void> {
    const { tenant, day, flow = 'triage', provider = 'mistral', model = 'small', currency = 'EUR', calls = 1, costNanos = 1e9 } = row;
    await this.database.query(insertSpend, [tenant, day, flow, provider, model, currency, calls, costNanos]);
  }

  async tenantModelProvider(row: {
    tenant: string;
    name: string;
    version?: number;
    models: readonly string[] | null;
    listedAt?: Date | null;
    errorCode?: string;
    errorMessage?: string;
  }): Promise<void> {
    const {
      tenant,
      name,
      version = 1,
      models,
      listedAt = models === null ? null : new Date(),
      errorCode = null,
      errorMessage = null,
    } = row;
    await this.database.query(insertTenantModelProvider, [tenant, name, version, models, listedAt, errorCode, errorMessage]);
  }

  async modelOutage({ tenant, provider, model, seenAt }: { tenant: string; provider: string; model: string; seenAt: Date }): Promise<void> {
    await this.database.query(insertModelOutage, [tenant, provider, model, seenAt]);
  }

  async noModelProviders(): Promise<void> {
    await this.database.query(deleteModelProviders);
  }

  async manyEvents(tenant: string, count: number): Promise<void> {
    await this.database.query(insertEvents, [tenant, count]);
  }

  /** Keeps every reader of events waiting while `work` runs. */
  async lockEvents(work: () => Promise<void>): Promise<void> {
    await this.database.transaction(async (session) => {
      await session.query(lockEvents);
      await work();
    });
  }

  async run(row: {
    tenant: string;
    id: string;
    event: string;
    flow?: string;
    generation?: number;
    state?: string;
    /** Default, if it failed: the model refused. */
    errorCode?: string;
    /** Deliveries that the run asked for; default: none. */
    planned?: number;
    startedAt?: Date;
    flowVersion?: number;
    /** Each with a call of a model. More than one end in the same millisecond as their calls. */
    steps?: readonly string[];
  }): Promise<void> {
    const { flowVersion = 1, steps = ['assess'], errorCode = 'model.refused' } = row;
    const { tenant, id, event, flow = 'triage', generation = 0, state = 'completed', planned = 0, startedAt = new Date() } = row;
    const completed = state === 'completed';
    await this.database.query(insertRun, [
      tenant,
      id,
      event,
      flow,
      generation,
      state,
      completed ? '{"queue":"billing"}' : null,
      state === 'failed' ? errorCode : null,
      state === 'failed' ? 'The model refused' : null,
      startedAt,
      state === 'running' ? null : new Date(startedAt.getTime() + 20),
      completed ? JSON.stringify(Array.from({ length: planned }, () => ({ step: 'tell' }))) : null,
      flowVersion,
    ]);
    const answeredMs = startedAt.getTime() + (steps.length > 1 ? 10 : 8);
    for (const step of steps) {
      await this.database.query(insertStep, [tenant, id, event, new Date(startedAt.getTime() + 10), step]);
      await this.database.query(insertModelAttempt, [tenant, id, event, new Date(answeredMs), step]);
    }
  }

  /** A version of a flow, as far as those who read runs need it. */
  /** Results of steps, as a run within lists of steps has them, kept in this order within one millisecond. */
  async results(row: {
    tenant: string;
    run: string;
    event: string;
    at: Date;
    results: readonly { step: string; kind: string; state: string; output?: unknown; errorCode?: string }[];
  }): Promise<void> {
    for (const [ordinal, { step, kind, state, output = null, errorCode = null }] of row.results.entries()) {
      const message = errorCode === null ? null : 'It failed';
      const values = [row.tenant, row.run, row.event, row.at, step, kind, state, JSON.stringify(output), errorCode, message, ordinal];
      await this.database.query(insertResult, values);
    }
  }

  async flow({ tenant, name, version, steps }: { tenant: string; name: string; version: number; steps: readonly string[] }): Promise<void> {
    const spec = { steps: steps.map((id) => ({ id, map: { expression: '1' } })) };
    await this.database.query(insertFlow, [tenant, name, version, JSON.stringify(spec)]);
  }

  async delivery(row: {
    tenant: string;
    id: string;
    event: string;
    run: string;
    destination?: string;
    state?: string;
    createdAt?: Date;
    reachedAt?: Date;
    object?: string;
  }): Promise<void> {
    const { tenant, id, event, run, destination = 'crm', state = 'delivered', createdAt = new Date(), reachedAt, object } = row;
    await this.database.query(insertDelivery, [tenant, id, event, run, destination, state, createdAt, reachedAt ?? null, object ?? null]);
    await this.database.query(insertAttempt, [tenant, id, event, state === 'delivered', new Date(createdAt.getTime() + 30)]);
  }

  async deadLetter(row: {
    tenant: string;
    id: string;
    kind?: string;
    event?: string;
    run?: string;
    delivery?: string;
    resolved?: boolean;
    resolution?: string;
    createdAt?: Date;
  }): Promise<void> {
    const {
      tenant,
      id,
      kind = 'delivery',
      event = null,
      run = null,
      delivery = null,
      resolution = null,
      resolved = resolution !== null,
      createdAt = new Date(),
    } = row;
    await this.database.query(insertDeadLetter, [
      tenant,
      id,
      kind,
      event,
      run,
      delivery,
      resolved ? createdAt : null,
      createdAt,
      resolution,
    ]);
  }

  /** A review of a run, with the wait for it. */
  /** A run that could not go on; it still cannot unless it has been claimed since. */
  async runDelay({
    tenant,
    run,
    event,
    budget,
    endsAt,
    isOver = false,
  }: {
    tenant: string;
    run: string;
    event: string;
    budget: string;
    endsAt: Date;
    isOver?: boolean;
  }): Promise<void> {
    await this.database.query(insertRunDelay, [tenant, run, event, budget, `The budget ${budget} is spent`, endsAt, isOver ? 0 : 1]);
  }

  async review(row: {
    tenant: string;
    id: string;
    run: string;
    event: string;
    step?: string;
    flow?: string;
    priority?: number;
    proposal?: unknown;
    defaultValue?: unknown;
    schema?: object;
    reason?: string;
    askedAt?: Date;
    expiresAt?: Date;
    escalated?: boolean;
  }): Promise<void> {
    const { tenant, id, run, event, step = 'approval', flow = 'triage', priority = 5, proposal = { amount: 250 } } = row;
    const { defaultValue = { amount: 0 }, schema, reason = 'The amount is high', askedAt = new Date(), escalated = false } = row;
    const { expiresAt = new Date(askedAt.getTime() + 86_400_000) } = row;
    const place = `${escalated ? 0 : 1}${9 - priority}${String(askedAt.getTime()).padStart(14, '0')}`;
    const texts = [JSON.stringify(proposal), JSON.stringify(defaultValue), schema === undefined ? null : JSON.stringify(schema)];
    const values = [tenant, id, run, event, step, flow, priority, place, ...texts, reason, askedAt, expiresAt, escalated ? askedAt : null];
    await this.database.query(insertReview, values);
    await this.database.query(insertReviewWait, [tenant, run, step, event, expiresAt]);
  }

  async resolve(tenant: string, deadLetter: string, resolution: string): Promise<void> {
    await this.database.query(resolveLetter, [tenant, deadLetter, resolution]);
  }

  async endRun(tenant: string, id: string, state: 'completed' | 'failed', errorCode: string | null = null): Promise<void> {
    await this.database.query(endRun, [tenant, id, state, errorCode]);
  }

  /** The records of a customer that wait for a dead letter. */
  /** A dead letter is settled now. */
  async settled({ tenant, deadLetter, resolution }: { tenant: string; deadLetter: string; resolution: string }): Promise<void> {
    await this.database.query(settleDeadLetter, [tenant, deadLetter, resolution]);
  }

  async hold({
    tenant,
    customer,
    deadLetter,
    records,
    events = [],
  }: {
    tenant: string;
    customer: string;
    deadLetter: string;
    /** The first of them failed. */
    records: number;
    /** The events that they are of, in this order. */
    events?: readonly string[];
  }): Promise<void> {
    const ids = events.map((id) => Buffer.from(id).toString('base64'));
    await this.database.query(insertHold, [tenant, customer, deadLetter, records, ids]);
  }

  /** Written anew, or changed to what is given. */
  async bulkOperation(row: {
    tenant: string;
    id: string;
    kind?: string;
    state?: string;
    total?: number;
    done?: number;
    leftOut?: Record<string, number>;
  }): Promise<void> {
    const { tenant, id, kind = 'replay', state = 'running', total = null, done = 0, leftOut = {} } = row;
    await this.database.query(insertBulkOperation, [tenant, id, kind, state, total, done, leftOut]);
  }

  /** A trial with one outcome. */
  async trial({ tenant, id, event, state = 'completed' }: { tenant: string; id: string; event: string; state?: string }): Promise<void> {
    await this.database.query(insertTrial, [tenant, id, state]);
    await this.database.query(insertTrialOutcome, [tenant, id, event]);
  }
}

const insertSpend = statement(
  'test.modelSpend',
  `INSERT INTO model_spend (tenant_id, day, flow, provider, model, currency, calls, input_tokens, output_tokens, cost_nanos)
   VALUES ($1, $2, $3, $4, $5, $6, $7, 900, 100, $8)`,
);
const saveModelProvider = statement(
  'test.rows.modelProvider',
  `INSERT INTO model_provider (address, models, listed_at, asked_at, error_code, error_message, due_at, used_at)
   VALUES ($1, $2, $3, now(), $4, $5, now(), $6)`,
);
const insertTenantModelProvider = statement(
  'test.rows.tenantModelProvider',
  `INSERT INTO tenant_model_provider (tenant_id, name, version, models, listed_at, asked_at, error_code, error_message, due_at)
   VALUES ($1, $2, $3, $4, $5, now(), $6, $7, now())`,
);
const insertModelOutage = statement(
  'test.rows.modelOutage',
  'INSERT INTO model_outage (tenant_id, provider, model, seen_at) VALUES ($1, $2, $3, $4)',
);
const deleteModelProviders = statement('test.rows.noModelProviders', 'DELETE FROM model_provider');
const insertCustomer = statement(
  'test.customer',
  `INSERT INTO customer (tenant_id, customer, first_event_at, last_event_at) VALUES ($1, $2, $3, $3)
   ON CONFLICT (tenant_id, customer) DO UPDATE SET last_event_at = greatest(customer.last_event_at, excluded.last_event_at)`,
);
const insertRequest = statement(
  'rows.request',
  `INSERT INTO request (tenant_id, id, source, outcome, code, message, received_at, method, path, headers, redacted, client_address, is_proxied,
     is_verified, body, body_bytes, kept_bytes, query)
   VALUES ($1, $2, $3, $4, $5, 'It was refused', $6, 'POST', $12, $7, $8, '192.0.2.1', false, $9, $10, $11, $11, $13)`,
);
const insertRequestEvents = statement(
  'rows.requestEvents',
  `INSERT INTO request_event (tenant_id, event_id, request_id, place) SELECT $1, event, $2, place FROM unnest($3::text[]) WITH ORDINALITY AS e (event, place)`,
);
const insertEvent = statement(
  'test.event',
  `INSERT INTO event (tenant_id, id, source, customer, type, lane, occurred_at, received_at, content_type, body, recorded_at, request, log_topic, log_partition, log_offset)
   VALUES ($1, $2, $3, $4, $5, 'normal', $6, $6, $7, $8, $9, $10, 'millrace.events.normal', 0, 0)`,
);
const insertEvents = statement(
  'test.events',
  `INSERT INTO event (tenant_id, id, source, customer, type, lane, occurred_at, received_at, content_type, body, log_topic, log_partition, log_offset)
   SELECT $1, 'evt_many' || n, 'stripe', 'cus-1', 'invoice.paid', 'normal', now(), now(), 'application/json', '{}', 'millrace.events.normal', 0, n
   FROM generate_series(1, $2::integer) AS n`,
);
const lockEvents = statement('test.lockEvents', 'LOCK TABLE event IN ACCESS EXCLUSIVE MODE');
const insertRun = statement(
  'test.run',
  `INSERT INTO run (tenant_id, id, event_id, customer, flow, flow_version, generation, state, decision, error_code, error_message, started_at, finished_at, deliveries)
   SELECT e.tenant_id, $2, e.id, e.customer, $4, $13::integer, $5::integer, $6, $7::json, $8, $9, $10::timestamptz, $11::timestamptz, $12::json FROM event e WHERE e.tenant_id = $1 AND e.id = $3`,
);
const insertStep = statement(
  'test.step',
  `INSERT INTO step_result (tenant_id, run_id, step, event_id, kind, state, output, model, response_model, input_tokens, output_tokens, started_at, finished_at)
   VALUES ($1, $2, $5, $3, 'infer', 'succeeded', '{"topic":"billing"}', 'local/rules-1', 'local/rules-1', 10, 5, $4, $4)`,
);
const insertResult = statement(
  'test.result',
  `INSERT INTO step_result (tenant_id, run_id, event_id, started_at, finished_at, step, kind, state, output, error_code, error_message, ordinal)
   VALUES ($1, $2, $3, $4, $4, $5, $6, $7, $8::json, $9, $10, $11)`,
);
const insertModelAttempt = statement(
  'test.modelAttempt',
  `INSERT INTO model_attempt (tenant_id, run_id, step, number, fence, event_id, model, outcome, input_tokens, output_tokens, provider,
     cost_nanos, currency, started_at, finished_at)
   VALUES ($1, $2, $5, 1, 1, $3, 'local/rules-1', 'succeeded', 10, 5, 'mine', 1250000000, 'EUR', $4, $4)`,
);
const insertFlow = statement(
  'test.flow',
  `INSERT INTO document (tenant_id, kind, name, version, spec, digest, created_by) VALUES ($1, 'Flow', $2, $3, $4, 'test', 'test')`,
);
const insertDelivery = statement(
  'test.delivery',
  `INSERT INTO delivery (tenant_id, id, event_id, run_id, flow, generation, step, customer, destination, payload, state, attempts, retries_left,
     event_received_at, created_at, reached_at, object)
   SELECT r.tenant_id, $2, $3, r.id, r.flow, r.generation, 'tell', r.customer, $5, '{"hello":"world"}', $6, 1, 5, $7::timestamptz, $7, $8, $9
   FROM run r WHERE r.tenant_id = $1 AND r.id = $4`,
);
const insertAttempt = statement(
  'test.attempt',
  `INSERT INTO attempt (tenant_id, delivery_id, number, event_id, outcome, status, error_code, error_message, started_at, finished_at)
   VALUES ($1, $2, 1, $3, CASE WHEN $4 THEN 'succeeded' ELSE 'failed' END, CASE WHEN $4 THEN 200 ELSE 503 END,
     CASE WHEN $4 THEN NULL ELSE 'delivery.unavailable' END, CASE WHEN $4 THEN NULL ELSE 'answered 503' END, $5, $5)`,
);
const insertDeadLetter = statement(
  'test.deadLetter',
  `INSERT INTO dead_letter (tenant_id, id, kind, customer, code, message, event_id, run_id, delivery_id, resolved_at, created_at, resolution)
   VALUES ($1, $2, $3, 'cus-1', 'delivery.refused', 'The destination refused', $4, $5, $6, $7, $8, $9)`,
);
const settleDeadLetter = statement(
  'test.settleDeadLetter',
  `UPDATE dead_letter SET resolved_at = clock_timestamp(), resolution = $3 WHERE tenant_id = $1 AND id = $2`,
);
const insertReview = statement(
  'test.rows.review',
  `INSERT INTO review (tenant_id, id, run_id, event_id, step, flow, priority, place, proposal, default_value, schema, reason, asked_at, expires_at,
     escalated_at, customer)
   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9::json, $10::json, $11::json, $12, $13, $14, $15, 'cus-1')`,
);
const insertRunDelay = statement(
  'test.rows.runDelay',
  `INSERT INTO run_delay (tenant_id, run_id, event_id, step, code, budget, message, ends_at, fence, began_at)
   SELECT tenant_id, id, $3, 'assess', 'model.budgetSpent', $4, $5, $6, fence - 1 + $7::integer, started_at + interval '1 second'
   FROM run WHERE tenant_id = $1 AND id = $2`,
);
const insertReviewWait = statement(
  'test.rows.reviewWait',
  `INSERT INTO run_wait (tenant_id, run_id, step, event_id, customer, due_at) VALUES ($1, $2, $3, $4, 'cus-1', $5)`,
);
const endRun = statement(
  'test.rows.endRun',
  'UPDATE run SET state = $3, error_code = $4, finished_at = now() WHERE tenant_id = $1 AND id = $2',
);
const resolveLetter = statement(
  'test.rows.resolveLetter',
  'UPDATE dead_letter SET resolved_at = created_at, resolution = $3 WHERE tenant_id = $1 AND id = $2',
);
const insertHold = statement(
  'test.hold',
  `WITH held AS (
     INSERT INTO hold (tenant_id, consumer_group, topic, partition, record_key, customer, reason, cause_offset, dead_letter_id)
     VALUES ($1::text, 'flows', 'millrace.events.normal', 0, convert_to($1::text || '/' || $2::text, 'UTF8'), $2::text, 'poison', 1, $3)
     RETURNING tenant_id, consumer_group, topic, partition, record_key)
   INSERT INTO held_record (tenant_id, consumer_group, topic, partition, record_key, log_offset, appended_at, headers)
   SELECT held.*, n, now(), CASE WHEN ($5::text[])[n] IS NULL THEN '{}' ELSE json_build_object('ce_id', ($5::text[])[n]) END FROM held, generate_series(1, $4::integer) AS n`,
);
const insertTrial = statement(
  'test.trial',
  `INSERT INTO trial (tenant_id, id, kind, flow, flow_version, events, outputs, max_events, max_seconds, state, actor)
   VALUES ($1, $2, 'backtest', 'triage', 1, '{}', '{}', 100, 900, $3, 'key:test')`,
);
const insertTrialOutcome = statement(
  'test.trialOutcome',
  `INSERT INTO trial_outcome (tenant_id, trial_id, event_id, ordinal, customer, received_at, change, is_match, decision, deliveries, steps, costs, base_costs,
     differences, difference_count)
   VALUES ($1, $2, $3, 0, 'c', now(), 'new', true, '1', '[]', '[]', '{}', '{}', '[]', 0)`,
);
const insertBulkOperation = statement(
  'test.bulkOperation',
  `INSERT INTO bulk_operation (tenant_id, id, kind, selection, filter, rate_per_second, actor, state, total, total_exact, done, left_out, finished_at)
   VALUES ($1, $2, $3, 'deadLetters', '{}', 50, 'key:test', $4::text, $5::integer, $5::integer IS NOT NULL, $6, $7, CASE WHEN $4::text <> 'running' THEN now() END)
   ON CONFLICT (tenant_id, id) DO UPDATE SET state = excluded.state, total = excluded.total, total_exact = excluded.total_exact,
     done = excluded.done, left_out = excluded.left_out, finished_at = excluded.finished_at`,
);
