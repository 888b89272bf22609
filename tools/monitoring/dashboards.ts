/** The dashboards of Grafana, as `npm run generate` writes them to `k8s/components/prometheus/dashboards`. */

type Unit = 'short' | 's' | 'reqps' | 'percentunit' | 'bytes' | 'd';

interface Query {
  readonly expr: string;
  readonly legend: string;
}

interface Panel {
  readonly title: string;
  readonly unit: Unit;
  readonly queries: readonly Query[];
  readonly description: string;
  /** Why its queries may give no series in a system that is well: what they count has no series before it happens. */
  readonly emptyUntil?: string;
  /** The alert whose section of the runbooks belongs to the panel. */
  readonly alert?: string;
}

export interface Dashboard {
  readonly uid: string;
  readonly title: string;
  readonly description: string;
  readonly panels: readonly Panel[];
  /** A variable whose values are those of a label. */
  readonly variable?: { readonly name: string; readonly metric: string };
}

const q = (expr: string, legend: string): Query => ({ expr, legend });
const rate = (series: string): string => `rate(${series}[$__rate_interval])`;
const quantiles = (histogram: string, matchers = '', by = ''): Query[] =>
  [0.5, 0.99].map((share) =>
    q(
      `histogram_quantile(${share}, sum by (le${by === '' ? '' : `, ${by}`}) (${rate(`${histogram}_bucket${matchers}`)}))`,
      `p${share * 100}${by === '' ? '' : ` {{${by}}}`}`,
    ),
  );
const ours = 'job=~"$job"';

const processes: readonly Panel[] = [
  {
    title: 'Connections to Postgres',
    unit: 'short',
    description: 'Of the pools. Work that waits for one is slow before Postgres is.',
    alert: 'MillracePoolExhausted',
    queries: [
      q(`sum by (job, state) (millrace_database_connections{${ours}})`, '{{job}} {{state}}'),
      q(`sum by (job) (millrace_database_waiting{${ours}})`, '{{job}} waiting'),
    ],
  },
  {
    title: 'Age of the configuration',
    unit: 's',
    description: 'It grows while Postgres is away and the last read goes on serving.',
    alert: 'MillraceConfigurationOld',
    queries: [q(`max by (job) (millrace_configuration_age_seconds{${ours}})`, '{{job}}')],
  },
  {
    title: 'Event loop, p99',
    unit: 's',
    description: 'How long something held the thread of a process.',
    alert: 'MillraceEventLoopSlow',
    queries: [q(`max by (job, instance) (nodejs_eventloop_lag_p99_seconds{${ours}})`, '{{job}} {{instance}}')],
  },
  {
    title: 'CPU',
    unit: 'percentunit',
    description: 'Share of one core. A process is one thread, so much more than one core is not possible.',
    queries: [q(`sum by (job, instance) (${rate(`process_cpu_seconds_total{${ours}}`)})`, '{{job}} {{instance}}')],
  },
  {
    title: 'Memory',
    unit: 'bytes',
    description: 'Resident memory.',
    queries: [q(`max by (job, instance) (process_resident_memory_bytes{${ours}})`, '{{job}} {{instance}}')],
  },
];

const door: Dashboard = {
  uid: 'millrace-door',
  title: 'Millrace: door',
  description: 'Whether partners get a fast, honest answer.',
  panels: [
    {
      title: 'Events',
      unit: 'reqps',
      description: 'Events appended to the log.',
      queries: [q(`sum by (lane) (${rate('millrace_events_received_total')})`, '{{lane}}')],
    },
    {
      title: 'Requests',
      unit: 'reqps',
      description: 'By how they were answered: `refused` is the caller’s fault, `failed` ours.',
      queries: [q(`sum by (door, outcome) (${rate('millrace_intake_duration_seconds_count')})`, '{{door}} {{outcome}}')],
    },
    {
      title: 'Failed for a fault of ours',
      unit: 'percentunit',
      description: 'The objective is 0.1 % at most.',
      alert: 'MillraceDoorAvailabilityBurnsFast',
      queries: [
        q('millrace:door_availability:bad_ratio_rate1h', 'one hour'),
        q('millrace:door_availability:bad_ratio_rate3d', 'three days'),
      ],
    },
    {
      title: 'Answered after',
      unit: 's',
      description: 'Of accepted requests. The objective is 250 ms for 99 %.',
      alert: 'MillraceDoorLatencyBurnsFast',
      queries: quantiles('millrace_intake_duration_seconds', '{outcome="accepted"}', 'door'),
    },
    {
      title: 'Callers who wait for decisions',
      unit: 'short',
      description: 'Those who wait now. DECISION_CALLERS is the most of a process.',
      queries: [q('sum(millrace_decision_callers_waiting)', 'waiting')],
    },
    {
      title: 'Share of default decisions',
      unit: 'percentunit',
      description: 'Of the callers who waited for a decision.',
      alert: 'MillraceDefaultDecisions',
      emptyUntil: 'a caller waits for a decision',
      queries: [
        q(
          `sum(${rate('millrace_decision_duration_seconds_count{answer="default"}')}) / sum(${rate('millrace_decision_duration_seconds_count{answer=~"decided|default"}')})`,
          'default',
        ),
      ],
    },
    {
      title: 'Decisions answered after',
      unit: 's',
      description: 'From the call to its answer, by what it was.',
      emptyUntil: 'a caller waits for a decision',
      queries: quantiles('millrace_decision_duration_seconds', '', 'answer'),
    },
    {
      title: 'Drafts that are followed',
      unit: 'short',
      description:
        'Callers who follow a draft now, and runs under way whose drafts are sent. Each caller takes a place of DECISION_CALLERS.',
      queries: [q('sum(millrace_decision_streams_open)', 'callers'), q('sum(millrace_drafts_followed)', 'runs')],
    },
    {
      title: 'First piece of a draft after',
      unit: 's',
      description: 'From the start of the call to the first text of the model: how long a caller who follows the draft sees nothing.',
      emptyUntil: 'a caller follows a draft',
      queries: quantiles('millrace_model_first_chunk_seconds', '', 'model'),
    },
    {
      title: 'Drafts that were cut off',
      unit: 'short',
      description:
        'Streams that went on after a lost connection, and characters a second that callers did not get: because the log was slow, or because they read too slowly. The decisions are not concerned.',
      queries: [
        q(`sum by (from) (${rate('millrace_decision_streams_resumed_total')})`, 'resumed, from {{from}}'),
        q(`sum(${rate('millrace_draft_characters_dropped_total')})`, 'characters that the log did not take'),
        q(`sum(${rate('millrace_draft_characters_skipped_total')})`, 'characters that callers skipped'),
      ],
    },
    {
      title: 'Refusals',
      unit: 'reqps',
      description: 'By code: docs/failures.md.',
      emptyUntil: 'a request is refused',
      queries: [q(`sum by (code) (${rate('millrace_intake_refusals_total')})`, '{{code}}')],
    },
    {
      title: 'Share that is refused',
      unit: 'percentunit',
      description: 'Of all requests. `npm run -s millrace -- requests` prints them with the reason.',
      alert: 'MillraceWebhooksRefused',
      queries: [
        q(
          `sum by (door) (${rate('millrace_intake_duration_seconds_count{outcome="refused"}')}) / sum by (door) (${rate('millrace_intake_duration_seconds_count')})`,
          '{{door}}',
        ),
      ],
    },
    {
      title: 'Repeats',
      unit: 'reqps',
      description:
        'Events that came again and became nothing new. Many by their body, whose partner sends no id, can be different events with the same bytes.',
      queries: [q(`sum by (identifiedBy) (${rate('millrace_events_repeated_total')})`, '{{identifiedBy}}')],
    },
    {
      title: 'Events that do not fit their schema',
      unit: 'reqps',
      description: 'Of the schemas of sources: refused with their request, or taken with a flag.',
      queries: [q(`sum by (action) (${rate('millrace_event_schema_mismatches_total')})`, '{{action}}')],
    },
    {
      title: 'Requests that are kept',
      unit: 'reqps',
      description: 'As they were received, without secrets; and those that were dropped, by the reason.',
      queries: [
        q(`sum by (outcome) (${rate('millrace_requests_kept_total')})`, '{{outcome}}'),
        q(`sum by (reason) (${rate('millrace_requests_dropped_total')})`, 'dropped: {{reason}}'),
      ],
    },
    {
      title: 'The log acknowledges after',
      unit: 's',
      description: 'The largest part of an answer.',
      alert: 'MillraceLogUnavailable',
      queries: quantiles('millrace_append_duration_seconds', '{topic=~".*events.*"}'),
    },
    {
      title: 'Appends that failed',
      unit: 'reqps',
      description: 'Each is a 503 for a partner, or work that is tried again.',
      alert: 'MillraceLogUnavailable',
      queries: [q(`sum by (topic) (${rate('millrace_append_failures_total')})`, '{{topic}}')],
    },
    {
      title: 'Bodies in memory',
      unit: 'bytes',
      description: 'Beyond BODY_BUFFER_BYTES requests get 503.',
      queries: [q('max by (instance) (millrace_http_body_bytes)', '{{instance}}')],
    },
    ...processes,
  ],
};

const processing: Dashboard = {
  uid: 'millrace-processing',
  title: 'Millrace: processing',
  description: 'How far the consumer groups are, and what the flows and models do.',
  panels: [
    {
      title: 'Open records',
      unit: 'short',
      description: 'What a group has still to handle. The pods of workers are scaled on it.',
      alert: 'MillraceGroupStuck',
      queries: [q('sum by (group) (millrace_open_records)', '{{group}}')],
    },
    {
      title: 'Age of the oldest open record',
      unit: 's',
      description: 'One record that is retried is enough.',
      alert: 'MillraceBacklogOld',
      queries: [q('max by (group) (millrace_oldest_open_record_seconds)', '{{group}}')],
    },
    {
      title: 'Records handled',
      unit: 'reqps',
      description: 'Attempts by outcome.',
      queries: [q(`sum by (group, outcome) (${rate('millrace_records_handled_total')})`, '{{group}} {{outcome}}')],
    },
    {
      title: 'Decided after',
      unit: 's',
      description: 'From the acceptance to the decision, of events that were not held. The objective is 5 s for 99 %.',
      alert: 'MillraceDecisionLatencyBurnsFast',
      queries: quantiles('millrace_accepted_to_decided_seconds', '{path="direct"}'),
    },
    {
      title: 'Runs',
      unit: 'reqps',
      description: 'Tries of runs by outcome.',
      queries: [q(`sum by (outcome) (${rate('millrace_runs_total')})`, '{{outcome}}')],
    },
    {
      title: 'Steps take',
      unit: 's',
      description: 'By kind of step.',
      queries: quantiles('millrace_step_duration_seconds', '', 'kind'),
    },
    {
      title: 'Calls to models',
      unit: 'reqps',
      description: 'By outcome.',
      alert: 'MillraceModelFailing',
      queries: [q(`sum by (model, outcome) (${rate('millrace_model_call_duration_seconds_count')})`, '{{model}} {{outcome}}')],
    },
    {
      title: 'Models answer after',
      unit: 's',
      description: 'All calls, also those that fail.',
      queries: quantiles('millrace_model_call_duration_seconds', '', 'model'),
    },
    {
      title: 'Tokens',
      unit: 'short',
      description: 'Per second, as the provider counts them.',
      queries: [q(`sum by (model, direction) (${rate('millrace_model_tokens_total')})`, '{{model}} {{direction}}')],
    },
    {
      title: 'Model providers',
      unit: 'short',
      description: 'While one is not usable, runs that ask no other one wait.',
      alert: 'MillraceModelUnusable',
      queries: [q('sum by (state, owner) (millrace_model_providers)', '{{state}}, {{owner}}')],
    },
    {
      title: 'Models not called',
      unit: 'short',
      description: 'Pairs of tenant and model of which too many calls failed.',
      alert: 'MillraceModelOutage',
      queries: [q('sum(millrace_model_circuits_open)', 'open circuits')],
    },
    {
      title: 'Budgets spent',
      unit: 'percentunit',
      description:
        'The part of each budget that is spent in its day or month. Above 1, calls are made, passed over or stopped, as the tenant chose.',
      alert: 'MillraceBudgetSpent',
      emptyUntil: 'a tenant has a Budget document',
      queries: [q('max by (tenant, budget) (millrace_budget_used_ratio)', '{{tenant}}, {{budget}}')],
    },
    {
      title: 'Costs of models',
      unit: 'short',
      description: 'Money per hour, by the prices in the documents of providers.',
      emptyUntil: 'a model with a price is called',
      queries: [q(`3600 * sum by (tenant, currency) (${rate('millrace_model_cost_total')})`, '{{tenant}}, {{currency}}')],
    },
    {
      title: 'Reads of the secret store',
      unit: 'reqps',
      description: 'Secrets that documents name by `from`. Documents go on with what was read last.',
      alert: 'MillraceSecretsUnusable',
      emptyUntil: 'a secret store is set',
      queries: [q(`sum by (outcome) (${rate('millrace_secret_store_reads_total')})`, '{{outcome}}')],
    },
    {
      title: 'Other models asked',
      unit: 'short',
      description: 'How often routes went on to the next model, per second, by the failure of the one before.',
      emptyUntil: 'a model of a route fails',
      queries: [q(`sum by (reason) (${rate('millrace_model_fallbacks_total')})`, '{{reason}}')],
    },
    {
      title: 'Dead letters',
      unit: 'short',
      description: 'That nobody has decided about.',
      alert: 'MillraceDeadLettersOpen',
      queries: [q('max by (kind) (millrace_dead_letters_open)', '{{kind}}')],
    },
    {
      title: 'Trials',
      unit: 'short',
      description: 'Trials and backtests of flows, per hour.',
      emptyUntil: 'somebody tries a flow',
      queries: [q(`3600 * sum by (kind, state) (${rate('millrace_trials_total')})`, '{{kind}}, {{state}}')],
    },
    {
      title: 'Reviews',
      unit: 'short',
      description: 'That wait for a person.',
      alert: 'MillraceReviewsEscalated',
      queries: [q('max by (escalated) (millrace_reviews_open)', 'escalated {{escalated}}')],
    },
    {
      title: 'Oldest review',
      unit: 's',
      description: 'How long ago a run asked that still waits for a person.',
      alert: 'MillraceReviewsEscalated',
      queries: [q('max(millrace_reviews_oldest_seconds)', 'oldest')],
    },
    {
      title: 'Ends of reviews',
      unit: 'short',
      description: 'Per hour. Where people do not decide, the default of the flow counts.',
      alert: 'MillraceReviewsExpire',
      queries: [
        q('sum by (outcome) (increase(millrace_review_decision_seconds_count[1h]))', '{{outcome}}'),
        q('sum(increase(millrace_reviews_expired_total[1h]))', 'expired'),
        q('sum(increase(millrace_reviews_withdrawn_total[1h]))', 'withdrawn'),
      ],
    },
    {
      title: 'Held records',
      unit: 'short',
      description: 'They wait in Postgres behind a dead letter, or for memory.',
      alert: 'MillraceRecordsHeld',
      queries: [q('max by (group) (millrace_records_held)', '{{group}}')],
    },
    {
      title: 'Rebalances',
      unit: 'short',
      description: 'Per hour. Each stops the members of a group for a moment.',
      alert: 'MillraceRebalancesFrequent',
      queries: [q('sum by (group) (increase(millrace_rebalances_total[1h]))', '{{group}}')],
    },
    {
      title: 'Lost records',
      unit: 'short',
      description: 'Records that expired unread, and logs that were replaced. Anything but 0 is a loss.',
      alert: 'MillraceRecordsExpired',
      queries: [
        q('sum by (group) (increase(millrace_records_expired_total[1h]))', 'expired {{group}}'),
        q('sum by (group) (increase(millrace_log_resets_total[1h]))', 'replaced {{group}}'),
      ],
    },
    ...processes,
  ],
};

const delivery: Dashboard = {
  uid: 'millrace-delivery',
  title: 'Millrace: delivery',
  description: 'Whether decisions reach their destinations.',
  panels: [
    {
      title: 'Deliveries',
      unit: 'reqps',
      description: 'That ended: delivered, or given up.',
      alert: 'MillraceDeliveriesParked',
      queries: [q(`sum by (state) (${rate('millrace_deliveries_total')})`, '{{state}}')],
    },
    {
      title: 'Delivered after',
      unit: 's',
      description: 'From the acceptance, of deliveries that the first attempt brought. The objective is 60 s for 99 %.',
      alert: 'MillraceDeliveryLatencyBurnsFast',
      queries: quantiles('millrace_accepted_to_delivered_seconds', '{attempt="first"}'),
    },
    {
      title: 'Attempts',
      unit: 'reqps',
      description: 'By outcome.',
      queries: [q(`sum by (outcome) (${rate('millrace_delivery_attempts_total')})`, '{{outcome}}')],
    },
    {
      title: 'Attempts take',
      unit: 's',
      description: 'By outcome.',
      queries: quantiles('millrace_delivery_attempt_duration_seconds', '', 'outcome'),
    },
    {
      title: 'Attempts under way',
      unit: 'short',
      description: 'At most DELIVERY_CONCURRENCY per process.',
      queries: [q('sum by (instance) (millrace_delivery_attempts_under_way)', '{{instance}}')],
    },
    {
      title: 'Pending',
      unit: 'short',
      description: 'Deliveries that wait for an attempt.',
      queries: [q('sum(max by (tenant) (millrace_deliveries_pending))', 'all tenants')],
    },
    {
      title: 'Oldest pending',
      unit: 's',
      description: 'By tenant.',
      alert: 'MillraceDeliveriesOld',
      queries: [q('topk(10, max by (tenant) (millrace_deliveries_oldest_pending_seconds))', '{{tenant}}')],
    },
    {
      title: 'Destinations',
      unit: 'short',
      description: 'By state. An open one gets probes only, a disabled one nothing.',
      alert: 'MillraceDestinationUnwell',
      queries: [q('max by (state) (millrace_destinations)', '{{state}}')],
    },
    {
      title: 'Changes of destinations',
      unit: 'short',
      description: 'Per hour.',
      emptyUntil: 'the health of a destination changes',
      queries: [q('sum by (change) (increase(millrace_destination_changes_total[1h]))', '{{change}}')],
    },
    ...processes,
  ],
};

const ofTenant = '{tenant="$tenant"}';

const tenant: Dashboard = {
  uid: 'millrace-tenant',
  title: 'Millrace: one tenant',
  description:
    'What the metrics know of one tenant. Customers, destinations and dead letters are no labels: GraphQL answers for them (customers, destinations, deadLetters).',
  variable: { name: 'tenant', metric: 'millrace_events_recorded_total' },
  panels: [
    {
      title: 'Events',
      unit: 'reqps',
      description: 'That stand in Postgres, without repeats.',
      queries: [q(`sum by (lane) (${rate(`millrace_events_recorded_total${ofTenant}`)})`, '{{lane}}')],
    },
    {
      title: 'Decided after',
      unit: 's',
      description: 'Events that waited behind a dead letter of their customer are `held`.',
      queries: quantiles('millrace_accepted_to_decided_seconds', ofTenant, 'path'),
    },
    {
      title: 'Runs',
      unit: 'reqps',
      description: 'Tries of runs by outcome.',
      queries: [q(`sum by (outcome) (${rate(`millrace_runs_total${ofTenant}`)})`, '{{outcome}}')],
    },
    {
      title: 'Delivered after',
      unit: 's',
      description: 'By whether the first attempt was enough.',
      queries: quantiles('millrace_accepted_to_delivered_seconds', ofTenant, 'attempt'),
    },
    {
      title: 'Attempts',
      unit: 'reqps',
      description: 'By outcome.',
      queries: [q(`sum by (outcome) (${rate(`millrace_delivery_attempts_total${ofTenant}`)})`, '{{outcome}}')],
    },
    {
      title: 'Deliveries',
      unit: 'reqps',
      description: 'Delivered, or given up.',
      queries: [q(`sum by (state) (${rate(`millrace_deliveries_total${ofTenant}`)})`, '{{state}}')],
    },
    {
      title: 'Pending deliveries',
      unit: 'short',
      description: 'That wait for an attempt.',
      queries: [q(`max(millrace_deliveries_pending${ofTenant})`, 'pending')],
    },
    {
      title: 'Oldest pending delivery',
      unit: 's',
      description: 'Its age.',
      alert: 'MillraceDeliveriesOld',
      queries: [q(`max(millrace_deliveries_oldest_pending_seconds${ofTenant})`, 'age')],
    },
    {
      title: 'Changes of destinations',
      unit: 'short',
      description: 'Per hour.',
      emptyUntil: 'the health of a destination changes',
      alert: 'MillraceDestinationUnwell',
      queries: [q(`sum by (change) (increase(millrace_destination_changes_total${ofTenant}[1h]))`, '{{change}}')],
    },
  ],
};

export const dashboards: readonly Dashboard[] = [door, processing, delivery, tenant];

/** A query of a dashboard as Grafana sends it. */
export interface SentQuery {
  /** Dashboard and panel. */
  readonly where: string;
  readonly expr: string;
  readonly emptyUntil: string | undefined;
}

/** The queries of dashboards with their variables filled in: all services, one tenant, rates over two minutes. */
export function sentQueries(tenantName: string, of: readonly Dashboard[] = dashboards): SentQuery[] {
  const filled = (expr: string): string =>
    expr.replaceAll('$__rate_interval', '2m').replaceAll('$job', '.*').replaceAll('$tenant', tenantName);
  return of.flatMap(({ title, panels }) =>
    panels.flatMap(({ title: panel, queries, emptyUntil }) =>
      queries.map(({ expr }) => ({ where: `${title}, ${panel}`, expr: filled(expr), emptyUntil })),
    ),
  );
}

const datasource = { type: 'prometheus', uid: '${datasource}' };
const [columns, width, height] = [3, 8, 8];

/** A dashboard as Grafana imports it. */
export function grafanaJson({ uid, title, description, panels, variable }: Dashboard): string {
  const list = [
    { name: 'datasource', label: 'Prometheus', type: 'datasource', query: 'prometheus' },
    {
      name: 'job',
      label: 'Service',
      type: 'query',
      datasource,
      query: 'label_values(process_start_time_seconds, job)',
      includeAll: true,
      multi: true,
      current: { text: 'All', value: '$__all' },
      refresh: 2,
    },
    ...(variable === undefined
      ? []
      : [
          {
            name: variable.name,
            label: variable.name,
            type: 'query',
            datasource,
            query: `label_values(${variable.metric}, ${variable.name})`,
            refresh: 2,
          },
        ]),
  ];
  const dashboard = {
    uid,
    title,
    description,
    tags: ['millrace'],
    schemaVersion: 39,
    editable: false,
    refresh: '30s',
    time: { from: 'now-3h', to: 'now' },
    templating: { list },
    links: [
      { title: 'Millrace', type: 'dashboards', tags: ['millrace'], asDropdown: true, keepTime: true, includeVars: true },
      { title: 'Traces', type: 'link', url: '/explore', tooltip: 'The exemplars of the histograms lead to traces', targetBlank: true },
    ],
    panels: panels.map((panel, at) => panelJson(panel, at)),
  };
  return `${JSON.stringify(dashboard, null, 2)}\n`;
}

function panelJson({ title, unit, queries, description, emptyUntil, alert }: Panel, at: number): object {
  const sentences = [
    description,
    ...(emptyUntil === undefined ? [] : [`No series until ${emptyUntil}.`]),
    ...(alert === undefined ? [] : [`Alert: ${alert}.`]),
  ];
  return {
    id: at + 1,
    title,
    description: sentences.join(' '),
    type: 'timeseries',
    datasource,
    gridPos: { x: (at % columns) * width, y: Math.floor(at / columns) * height, w: width, h: height },
    fieldConfig: { defaults: { unit, min: 0, custom: { fillOpacity: 10, showPoints: 'never' } }, overrides: [] },
    options: { legend: { displayMode: 'list', placement: 'bottom' }, tooltip: { mode: 'multi', sort: 'desc' } },
    ...(alert === undefined
      ? {}
      : { links: [{ title: `Runbook: ${alert}`, url: `docs/runbooks.md#${alert.toLowerCase()}`, targetBlank: true }] }),
    targets: queries.map(({ expr, legend }, index) => ({
      refId: String.fromCodePoint(65 + index),
      expr,
      legendFormat: legend,
      exemplar: expr.startsWith('histogram_quantile'),
    })),
  };
}
