import { stringify } from 'yaml';
import { readAlerts, rulesFile } from './rules.js';

/** Series and their values in promtool's notation, such as `0+60x20`. */
type Series = Readonly<Record<string, string>>;

interface AlertTest {
  /** Under these series the alert fires at `at`, with `labels` beside its own. */
  readonly fires: Series;
  /** Under these it does not. */
  readonly silent: Series;
  readonly at: string;
  /** Between two values; default one minute. */
  readonly every?: string;
  readonly labels?: Readonly<Record<string, string>>;
}

const fast = { at: '70m' };
const slow = { at: '2h', every: '5m' };

const door = (accepted: string, failed: string): Series => ({
  'millrace_intake_duration_seconds_count{door="webhooks", outcome="accepted"}': accepted,
  'millrace_intake_duration_seconds_count{door="webhooks", outcome="failed"}': failed,
});

/** A histogram of which `within` is the bucket of the objective. */
const latency =
  (metric: string, label: string, le: string) =>
  (all: string, within: string): Series => ({
    [`${metric}_count{${label}}`]: all,
    [`${metric}_bucket{${label}, le="${le}"}`]: within,
  });
const answered = latency('millrace_intake_duration_seconds', 'outcome="accepted"', '0.25');
const decided = latency('millrace_accepted_to_decided_seconds', 'tenant="t", path="direct"', '5');
const held = latency('millrace_accepted_to_decided_seconds', 'tenant="t", path="held"', '5');
const delivered = latency('millrace_accepted_to_delivered_seconds', 'tenant="t", attempt="first"', '60');
const later = latency('millrace_accepted_to_delivered_seconds', 'tenant="t", attempt="later"', '60');
const answersOfCallers = (byFlow: string, byDefault: string): Series => ({
  'millrace_decision_duration_seconds_count{answer="decided"}': byFlow,
  'millrace_decision_duration_seconds_count{answer="default"}': byDefault,
});
const jobs = (...names: readonly string[]): Series => Object.fromEntries(names.map((job) => [`up{job="${job}", instance="a"}`, '1x60']));
const everyJob = jobs('ingestion', 'ai-processing', 'connectors', 'query');
const day = 86_400;

/** By alert: when it fires and when it does not. */
export const alertTests: Readonly<Record<string, AlertTest>> = {
  MillraceDoorAvailabilityBurnsFast: { ...fast, fires: door('0+1000x90', '0+20x90'), silent: door('0+1000x90', '0+1x90') },
  MillraceDoorAvailabilityBurnsSlowly: { ...slow, fires: door('0+10000x100', '0+15x100'), silent: door('0+10000x100', '0+5x100') },
  MillraceDoorLatencyBurnsFast: { ...fast, fires: answered('0+1000x90', '0+800x90'), silent: answered('0+1000x90', '0+995x90') },
  MillraceDoorLatencyBurnsSlowly: { ...slow, fires: answered('0+1000x100', '0+980x100'), silent: answered('0+1000x100', '0+995x100') },
  MillraceDecisionLatencyBurnsFast: {
    ...fast,
    fires: decided('0+1000x90', '0+800x90'),
    silent: { ...decided('0+1000x90', '0+999x90'), ...held('0+1000x90', '0x90') },
  },
  MillraceDecisionLatencyBurnsSlowly: { ...slow, fires: decided('0+1000x100', '0+980x100'), silent: decided('0+1000x100', '0+995x100') },
  MillraceDeliveryLatencyBurnsFast: {
    ...fast,
    fires: delivered('0+1000x90', '0+800x90'),
    silent: { ...delivered('0+1000x90', '0+999x90'), ...later('0+1000x90', '0x90') },
  },
  MillraceDeliveryLatencyBurnsSlowly: {
    ...slow,
    fires: delivered('0+1000x100', '0+980x100'),
    silent: delivered('0+1000x100', '0+995x100'),
  },
  MillraceGroupStuck: {
    at: '20m',
    labels: { group: 'flows' },
    fires: {
      'millrace_open_records{group="flows", instance="a"}': '5x30',
      'millrace_records_handled_total{group="flows", topic="t", outcome="ok"}': '7x30',
      'millrace_open_records{group="recorder"}': '5x30',
      'millrace_records_handled_total{group="recorder", topic="t", outcome="ok"}': '0+9x30',
    },
    silent: {
      'millrace_open_records{group="flows"}': '0x30',
      'millrace_records_handled_total{group="flows", topic="t", outcome="ok"}': '7x30',
    },
  },
  MillraceBacklogOld: {
    at: '20m',
    labels: { group: 'flows' },
    fires: { 'millrace_oldest_open_record_seconds{group="flows"}': '400x30' },
    silent: { 'millrace_oldest_open_record_seconds{group="flows"}': '200x30' },
  },
  MillraceHandlerOverdue: {
    at: '10m',
    labels: { group: 'flows' },
    fires: { 'millrace_oldest_handler_seconds{group="flows"}': '1000x30' },
    silent: { 'millrace_oldest_handler_seconds{group="flows"}': '100x30' },
  },
  MillraceRecordsExpired: {
    at: '10m',
    labels: { group: 'flows', topic: 't' },
    fires: { 'millrace_records_expired_total{group="flows", topic="t"}': '0x5 3x10' },
    silent: { 'millrace_records_expired_total{group="flows", topic="t"}': '3x15' },
  },
  MillraceLogReset: {
    at: '10m',
    labels: { group: 'flows' },
    fires: { 'millrace_log_resets_total{group="flows", topic="t"}': '0x5 24x10' },
    silent: { 'millrace_log_resets_total{group="flows", topic="t"}': '0x15' },
  },
  MillraceCommitsFailing: {
    at: '20m',
    labels: { group: 'flows' },
    fires: {
      'millrace_offset_commits_total{group="flows", outcome="failed"}': '0+1x30',
      'millrace_offset_commits_total{group="flows", outcome="ok"}': '9x30',
    },
    silent: {
      'millrace_offset_commits_total{group="flows", outcome="failed"}': '0+1x30',
      'millrace_offset_commits_total{group="flows", outcome="ok"}': '0+9x30',
    },
  },
  MillraceLogUnavailable: {
    at: '15m',
    fires: { 'millrace_append_failures_total{topic="t"}': '0+5x30' },
    silent: { 'millrace_append_failures_total{topic="t"}': '5x30' },
  },
  MillraceDeadLettersOpen: {
    at: '90m',
    labels: { kind: 'run' },
    fires: { 'millrace_dead_letters_open{kind="run"}': '2x100', 'millrace_dead_letters_open{kind="record"}': '0x100' },
    silent: { 'millrace_dead_letters_open{kind="run"}': '2x50 0x50' },
  },
  MillraceReviewsEscalated: {
    at: '3h',
    fires: { 'millrace_reviews_open{escalated="true"}': '3x300', 'millrace_reviews_open{escalated="false"}': '0x300' },
    silent: { 'millrace_reviews_open{escalated="true"}': '3x40 0x300', 'millrace_reviews_open{escalated="false"}': '9x300' },
  },
  MillraceReviewsExpire: {
    at: '1h30m',
    fires: { 'millrace_reviews_expired_total{instance="a"}': '0x60 1x60' },
    silent: { 'millrace_reviews_expired_total{instance="a"}': '7x120' },
  },
  MillraceRunWaitsOverdue: {
    at: '20m',
    fires: { 'millrace_run_waits_overdue_seconds{instance="a"}': '0+60x30' },
    silent: { 'millrace_run_waits_overdue_seconds{instance="a"}': '0x15 90x3 0x30' },
  },
  MillraceDefaultDecisions: {
    at: '40m',
    fires: answersOfCallers('0+300x60', '0+300x60'),
    silent: answersOfCallers('0+300x60', '0+30x60'),
  },
  MillracePullOverdue: {
    at: '20m',
    fires: { 'millrace_pull_overdue_seconds{instance="a"}': '0+60x30' },
    silent: { 'millrace_pull_overdue_seconds{instance="a"}': '0x15 90x3 0x30' },
  },
  MillraceWebhooksRefused: {
    at: '60m',
    labels: { code: 'signature.mismatch' },
    fires: {
      'millrace_intake_refusals_total{door="webhooks", code="signature.mismatch", instance="a"}': '0+15x70',
      'millrace_intake_refusals_total{door="webhooks", code="request.malformed", instance="a"}': '0+5x70',
      'millrace_intake_duration_seconds_count{door="webhooks", outcome="accepted", instance="a"}': '0+40x70',
      'millrace_intake_duration_seconds_count{door="webhooks", outcome="refused", instance="a"}': '0+20x70',
    },
    silent: {
      'millrace_intake_refusals_total{door="webhooks", code="signature.mismatch", instance="a"}': '0+5x70',
      'millrace_intake_refusals_total{door="webhooks", code="log.unavailable", instance="a"}': '0+90x70',
      'millrace_intake_duration_seconds_count{door="webhooks", outcome="accepted", instance="a"}': '0+95x70',
      'millrace_intake_duration_seconds_count{door="webhooks", outcome="refused", instance="a"}': '0+5x70',
    },
  },
  MillracePullStopped: {
    at: '40m',
    labels: { tenant: 'acme', state: 'refused' },
    fires: {
      'millrace_pulls{tenant="acme", state="refused", instance="a"}': '0x5 1x40',
      'millrace_pulls{tenant="acme", state="retrying", instance="a"}': '1x45',
    },
    silent: {
      'millrace_pulls{tenant="acme", state="refused", instance="a"}': '1x5 0x40',
      'millrace_pulls{tenant="acme", state="working"}': '1x45',
    },
  },
  MillraceScheduleOverdue: {
    at: '20m',
    fires: { 'millrace_schedule_overdue_seconds{instance="a"}': '0+60x30', 'millrace_schedule_overdue_seconds{instance="b"}': '0x30' },
    silent: { 'millrace_schedule_overdue_seconds{instance="a"}': '0x15 90x3 0x30' },
  },
  MillraceScheduleTicksMissed: {
    at: '20m',
    fires: { 'millrace_schedule_ticks_total{outcome="missed"}': '0x10 3x30' },
    silent: { 'millrace_schedule_ticks_total{outcome="missed"}': '3x40', 'millrace_schedule_ticks_total{outcome="fired"}': '0+1x40' },
  },
  MillraceRecordsHeld: {
    at: '90m',
    labels: { group: 'flows' },
    fires: { 'millrace_records_held{group="flows"}': '4x100' },
    silent: { 'millrace_records_held{group="flows"}': '0x100' },
  },
  MillraceModelUnusable: {
    at: '10m',
    labels: { state: 'key_refused' },
    fires: { 'millrace_model_providers{state="key_refused",owner="installation"}': '1x30' },
    silent: {
      'millrace_model_providers{state="key_refused",owner="installation"}': '0x30',
      'millrace_model_providers{state="key_refused",owner="tenant"}': '1x30',
    },
  },
  MillraceModelOutage: {
    at: '15m',
    fires: { 'millrace_model_circuits_open{instance="a"}': '1x30', 'millrace_model_circuits_open{instance="b"}': '0x30' },
    silent: {
      'millrace_model_circuits_open{instance="a"}': '0x30',
      'millrace_model_providers{state="usable",owner="tenant"}': '3x30',
      'millrace_model_providers{state="key_refused",owner="installation"}': '1x30',
    },
  },
  MillraceBudgetSpent: {
    at: '5m',
    fires: {
      'millrace_budget_used_ratio{tenant="acme",budget="all"}': '1.2x20',
      'millrace_budget_used_ratio{tenant="b",budget="all"}': '0.2x20',
    },
    silent: { 'millrace_budget_used_ratio{tenant="acme",budget="all"}': '0.99x20' },
  },
  MillraceSecretsUnusable: {
    at: '20m',
    fires: { 'millrace_secret_store_unusable{instance="a"}': '1x30', 'millrace_secret_store_unusable{instance="b"}': '0x30' },
    silent: {
      'millrace_secret_store_unusable{instance="a"}': '0x30',
      'millrace_secret_store_reads_total{outcome="read"}': '0+10x30',
      'millrace_secret_store_reads_total{outcome="unavailable"}': '3x30',
    },
  },
  MillraceModelFailing: {
    at: '30m',
    fires: {
      'millrace_model_call_duration_seconds_count{outcome="ok"}': '0+6x40',
      'millrace_model_call_duration_seconds_count{outcome="model.unavailable"}': '0+4x40',
    },
    silent: {
      'millrace_model_call_duration_seconds_count{outcome="ok"}': '0+60x40',
      'millrace_model_call_duration_seconds_count{outcome="model.limited"}': '0+4x40',
    },
  },
  MillraceDeliveriesOld: {
    at: '20m',
    fires: { 'millrace_deliveries_oldest_pending_seconds{tenant="t"}': '4000x30' },
    silent: { 'millrace_deliveries_oldest_pending_seconds{tenant="t"}': '600x30' },
  },
  MillraceDestinationUnwell: {
    at: '40m',
    labels: { state: 'open' },
    fires: { 'millrace_destinations{state="open"}': '1x60', 'millrace_destinations{state="active"}': '4x60' },
    silent: { 'millrace_destinations{state="limited"}': '1x60', 'millrace_destinations{state="open"}': '0x60' },
  },
  MillraceConnectionNeedsConsent: {
    at: '20m',
    labels: { tenant: 't' },
    fires: { 'millrace_connections{tenant="t",state="needsReauth"}': '1x60' },
    silent: { 'millrace_connections{tenant="t",state="needsReauth"}': '0x60', 'millrace_connections{tenant="t",state="degraded"}': '1x60' },
  },
  MillraceDeliveriesParked: {
    at: '50m',
    fires: { 'millrace_deliveries_total{state="parked"}': '0+1x60', 'millrace_deliveries_total{state="delivered"}': '0+9x60' },
    silent: { 'millrace_deliveries_total{state="parked"}': '0+1x60', 'millrace_deliveries_total{state="delivered"}': '0+99x60' },
  },
  MillraceQueryFailing: {
    at: '15m',
    fires: {
      'millrace_graphql_errors_total{code="storage.unavailable"}': '0+5x30',
      'millrace_graphql_request_duration_seconds_count{operation="query"}': '0+100x30',
    },
    silent: {
      'millrace_graphql_errors_total{code="request.invalid"}': '0+50x30',
      'millrace_graphql_request_duration_seconds_count{operation="query"}': '0+100x30',
    },
  },
  MillraceTargetDown: {
    at: '10m',
    labels: { job: 'query', instance: 'b' },
    fires: { 'up{job="query", instance="a"}': '1x30', 'up{job="query", instance="b"}': '0x30' },
    silent: { 'up{job="query", instance="a"}': '1x30', 'up{job="grafana", instance="b"}': '0x30' },
  },
  MillraceServiceAbsent: { at: '10m', labels: { job: 'connectors' }, fires: jobs('ingestion', 'ai-processing', 'query'), silent: everyJob },
  MillracePartNotReady: {
    at: '20m',
    labels: { part: 'storage' },
    fires: { 'millrace_part_ready{part="storage", instance="a"}': '0x30', 'millrace_part_ready{part="storage", instance="b"}': '1x30' },
    silent: { 'millrace_part_ready{part="storage", instance="a"}': '0x5 1x30' },
  },
  MillracePoolExhausted: {
    at: '20m',
    labels: { job: 'query', instance: 'a', role: 'millrace_query' },
    fires: { 'millrace_database_waiting{job="query", instance="a", role="millrace_query"}': '3x30' },
    silent: { 'millrace_database_waiting{job="query", instance="a", role="millrace_query"}': '3 0x30' },
  },
  MillraceConfigurationOld: {
    at: '20m',
    labels: { job: 'ingestion', instance: 'a' },
    fires: { 'millrace_configuration_age_seconds{job="ingestion", instance="a"}': '700+60x30' },
    silent: { 'millrace_configuration_age_seconds{job="ingestion", instance="a"}': '30x30' },
  },
  MillraceConfigurationCopyOld: {
    at: '20m',
    labels: {},
    fires: { 'millrace_configuration_copy_age_seconds{job="query", instance="a"}': '3700+60x30' },
    silent: { 'millrace_configuration_copy_age_seconds{job="query", instance="a"}': '30x30' },
  },
  MillraceEventLoopSlow: {
    at: '10m',
    labels: { job: 'query', instance: 'a' },
    fires: { 'nodejs_eventloop_lag_p99_seconds{job="query", instance="a"}': '0.4x30' },
    silent: { 'nodejs_eventloop_lag_p99_seconds{job="query", instance="a"}': '0.05x30' },
  },
  MillraceRebalancesFrequent: {
    at: '50m',
    labels: { group: 'flows' },
    fires: { 'millrace_rebalances_total{group="flows"}': '0+1x60' },
    silent: { 'millrace_rebalances_total{group="flows"}': '0x20 4x40' },
  },
  MillraceCertificateEnds: {
    at: '90m',
    labels: { certificate: 'log-client' },
    fires: { 'millrace_certificate_expiry_timestamp_seconds{certificate="log-client"}': `${7 * day}x120` },
    silent: { 'millrace_certificate_expiry_timestamp_seconds{certificate="log-client"}': `${30 * day}x120` },
  },
  MillraceMigrationFailed: {
    at: '5m',
    labels: { job_name: 'migrate-0-1-0' },
    fires: { 'kube_job_status_failed{job_name="migrate-0-1-0"}': '1x10' },
    silent: { 'kube_job_status_failed{job_name="migrate-0-1-0"}': '0x10', 'kube_job_status_failed{job_name="other"}': '1x10' },
  },
  MillraceVolumeFilling: {
    at: '20m',
    labels: { persistentvolumeclaim: 'data-kafka-0' },
    fires: {
      'kubelet_volume_stats_available_bytes{persistentvolumeclaim="data-kafka-0"}': '10x30',
      'kubelet_volume_stats_capacity_bytes{persistentvolumeclaim="data-kafka-0"}': '100x30',
    },
    silent: {
      'kubelet_volume_stats_available_bytes{persistentvolumeclaim="data-kafka-0"}': '50x30',
      'kubelet_volume_stats_capacity_bytes{persistentvolumeclaim="data-kafka-0"}': '100x30',
    },
  },
};

interface Case {
  readonly series: Series;
  readonly every: string;
  readonly expectation: object;
}

/** The tests as promtool reads them, for rules at `rules`. Cases that share no metric are one test, because promtool starts a database for each. */
export function promtoolTests(rules = rulesFile): string {
  const alerts = new Map(readAlerts().map((alert) => [alert.alert, alert]));
  const cases = Object.entries(alertTests).flatMap(([alertname, { fires, silent, at, every = '1m', labels = {} }]): Case[] => {
    const alert = alerts.get(alertname);
    const expected = { exp_labels: { ...alert?.labels, ...labels }, exp_annotations: alert?.annotations };
    return [
      { series: fires, every, expectation: { eval_time: at, alertname, exp_alerts: [expected] } },
      { series: silent, every, expectation: { eval_time: at, alertname, exp_alerts: [] } },
    ];
  });
  const tests: Case[][] = [];
  for (const one of cases) {
    const fitting = tests.find((others) => others.every((other) => other.every === one.every && sharesNoMetric(one, other)));
    if (fitting === undefined) tests.push([one]);
    else fitting.push(one);
  }
  return stringify({ rule_files: [rules], evaluation_interval: '5m', tests: tests.map(testOf) });
}

function sharesNoMetric({ series }: Case, { series: others }: Case): boolean {
  const names = new Set(Object.keys(others).map(metricOf));
  return !Object.keys(series).some((one) => names.has(metricOf(one)));
}

const metricOf = (series: string): string => series.replace(/\{.*$/, '').replace(/_(bucket|count|sum)$/, '');

function testOf(cases: readonly Case[]): object {
  return {
    interval: cases[0]!.every,
    input_series: cases.flatMap(({ series }) => Object.entries(series).map(([one, values]) => ({ series: one, values }))),
    alert_rule_test: cases.map(({ expectation }) => expectation),
  };
}
