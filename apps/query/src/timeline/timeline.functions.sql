-- What timeline.table.ts reads. apps/query/src/events/event.functions.sql says how these functions work.

-- Everything that happened to events, in order, at most 1000 entries each. `rank` orders what happened in the same millisecond, except that the
-- steps of a run and their calls of models stand in the order in which the steps ended. Ids come last, so that two reads have the same order. A model
-- that was passed over is told as an attempt without a number, because the release before has no kind for it.
CREATE OR REPLACE FUNCTION event_timelines(p_tenant text, p_keys text[])
RETURNS TABLE (
  event_id text, at timestamptz, kind text, subject text, detail text, code text, run_id text, step text,
  delivery_id text, dead_letter_id text, attempt integer, actor text
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
  PERFORM set_config('millrace.tenant', p_tenant, true);
  RETURN QUERY
    WITH subject_run AS (SELECT * FROM run r WHERE r.tenant_id = p_tenant AND r.event_id = ANY (p_keys)),
    subject_delivery AS (SELECT d.* FROM subject_run r JOIN delivery d ON d.tenant_id = r.tenant_id AND d.run_id = r.id),
    entry (rank, event_id, at, kind, subject, detail, code, run_id, step, delivery_id, dead_letter_id, attempt, actor) AS (
      SELECT 0, e.id, e.received_at, 'received', e.source, NULL, NULL, NULL, NULL, NULL, NULL, NULL::integer, NULL
        FROM event e WHERE e.tenant_id = p_tenant AND e.id = ANY (p_keys)
      UNION ALL SELECT 1, e.id, e.recorded_at, 'recorded', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
        FROM event e WHERE e.tenant_id = p_tenant AND e.id = ANY (p_keys)
      UNION ALL SELECT 2, a.target, a.at, 'replayRequested', a.detail->>'flow', NULL, NULL, NULL, NULL, NULL, NULL, NULL, a.actor
        FROM audit_entry a WHERE a.tenant_id = p_tenant AND a.target = ANY (p_keys) AND a.action = 'replayEvents'
      UNION ALL SELECT 2, r.event_id, a.at, 'replayRequested', r.flow, NULL, NULL, NULL, NULL, NULL, NULL, NULL, a.actor
        FROM subject_run r JOIN dead_letter x ON x.tenant_id = r.tenant_id AND x.event_id = r.event_id AND x.kind = 'run' AND x.run_id = r.id
          JOIN audit_entry a ON a.tenant_id = x.tenant_id AND a.target = x.id AND a.action = 'retryDeadLetter'
      UNION ALL SELECT 3, r.event_id, r.started_at, 'runStarted', r.flow, r.generation::text, NULL, r.id, NULL, NULL, NULL, NULL, NULL
        FROM subject_run r
      UNION ALL SELECT 4, r.event_id, m.finished_at, CASE m.outcome WHEN 'passedOver' THEN 'modelPassedOver' ELSE 'modelAttempt' END, concat_ws(' of ', m.model, m.provider), left(m.error_message, 500), m.error_code, r.id, m.step, NULL, NULL, m.number, NULL
        FROM subject_run r JOIN model_attempt m ON m.tenant_id = r.tenant_id AND m.run_id = r.id
      UNION ALL SELECT 4, r.event_id, coalesce(o.finished_at, o.started_at), 'operationAttempt', o.connection || '/' || o.operation,
          coalesce(o.outcome, 'unknown'), o.error_code, r.id, o.step, NULL, NULL, NULL, NULL
        FROM subject_run r JOIN operation_attempt o ON o.tenant_id = r.tenant_id AND o.run_id = r.id
      UNION ALL SELECT 5, r.event_id, s.finished_at,
          CASE s.state WHEN 'began' THEN 'stepBegan' WHEN 'failed' THEN 'stepFailed' ELSE 'stepFinished' END, s.kind, s.state, s.error_code, r.id, s.step, NULL, NULL, NULL,
          CASE WHEN s.review_id IS NOT NULL THEN (SELECT v.decided_by FROM review v WHERE v.tenant_id = s.tenant_id AND v.id = s.review_id) END
        FROM subject_run r JOIN step_result s ON s.tenant_id = r.tenant_id AND s.run_id = r.id WHERE NOT (s.state = 'began' AND s.kind = 'review')
      UNION ALL SELECT 5, r.event_id, v.asked_at, 'reviewRequested', NULL, v.reason, NULL, r.id, v.step, NULL, NULL, NULL, NULL
        FROM subject_run r JOIN review v ON v.tenant_id = r.tenant_id AND v.run_id = r.id
      UNION ALL SELECT 5, r.event_id, d.began_at, 'runDelayed', r.flow, left(d.message, 500), d.code, r.id, nullif(d.step, '-'), NULL, NULL, NULL, NULL
        FROM subject_run r JOIN run_delay d ON d.tenant_id = r.tenant_id AND d.run_id = r.id
      UNION ALL SELECT 6, r.event_id, v.escalated_at, 'reviewEscalated', NULL, NULL, NULL, r.id, v.step, NULL, NULL, NULL, NULL
        FROM subject_run r JOIN review v ON v.tenant_id = r.tenant_id AND v.run_id = r.id WHERE v.escalated_at IS NOT NULL
      UNION ALL SELECT 6, r.event_id, v.ended_at, 'reviewEnded', coalesce(v.outcome, v.state), v.decision_reason, NULL, r.id, v.step, NULL, NULL, NULL, v.decided_by
        FROM subject_run r JOIN review v ON v.tenant_id = r.tenant_id AND v.run_id = r.id WHERE v.ended_at IS NOT NULL
      UNION ALL SELECT 7, r.event_id, r.finished_at, CASE r.state WHEN 'failed' THEN 'runFailed' ELSE 'runCompleted' END, r.flow, r.error_message,
          coalesce(r.error_code, r.default_reason), r.id, NULL, NULL, NULL, NULL, NULL
        FROM subject_run r WHERE r.finished_at IS NOT NULL
      UNION ALL SELECT 8, d.event_id, d.created_at, 'deliveryScheduled', d.destination, NULL, NULL, d.run_id, d.step, d.id, NULL, NULL, NULL
        FROM subject_delivery d
      UNION ALL SELECT 9, d.event_id, a.at, 'redeliveryRequested', d.destination, NULL, NULL, d.run_id, d.step, d.id, NULL, NULL, a.actor
        FROM subject_delivery d JOIN audit_entry a ON a.tenant_id = d.tenant_id AND a.target = d.id AND a.action = 'redeliver'
      UNION ALL SELECT 9, d.event_id, a.at, 'redeliveryRequested', d.destination, NULL, NULL, d.run_id, d.step, d.id, NULL, NULL, a.actor
        FROM subject_delivery d JOIN dead_letter x ON x.tenant_id = d.tenant_id AND x.event_id = d.event_id AND x.kind = 'delivery' AND x.delivery_id = d.id
          JOIN audit_entry a ON a.tenant_id = x.tenant_id AND a.target = x.id AND a.action = 'retryDeadLetter'
      UNION ALL SELECT 10, d.event_id, t.finished_at, 'deliveryAttempt', d.destination, coalesce(t.status::text, t.error_message), t.error_code, d.run_id,
          d.step, d.id, NULL, t.number, NULL
        FROM subject_delivery d JOIN attempt t ON t.tenant_id = d.tenant_id AND t.delivery_id = d.id
      UNION ALL SELECT 11, x.event_id, x.created_at, 'parked', x.kind, x.message, x.code, x.run_id, NULL, x.delivery_id, x.id, NULL, NULL
        FROM dead_letter x WHERE x.tenant_id = p_tenant AND x.event_id = ANY (p_keys)
      -- Skips of a dead letter that is skipped already come after its resolution, and change nothing.
      UNION ALL SELECT 12, x.event_id, x.resolved_at, 'skipped', x.kind, NULL, NULL, x.run_id, NULL, x.delivery_id, x.id, NULL,
          (SELECT a.actor FROM audit_entry a WHERE a.tenant_id = x.tenant_id AND a.target = x.id AND a.action = 'skipDeadLetter' AND a.at <= x.resolved_at
            ORDER BY a.at DESC LIMIT 1)
        FROM dead_letter x WHERE x.tenant_id = p_tenant AND x.event_id = ANY (p_keys) AND x.resolution = 'skipped')
    SELECT event_id::text, at, CASE kind WHEN 'modelPassedOver' THEN 'modelAttempt' ELSE kind END, subject::text, detail, code, run_id::text, step::text,
      delivery_id::text, dead_letter_id::text, CASE WHEN kind <> 'modelPassedOver' THEN attempt END, actor
    FROM (SELECT *, row_number() OVER (PARTITION BY event_id ORDER BY at, CASE rank WHEN 5 THEN 4 ELSE rank END, run_id, p.place, rank, attempt, step,
        delivery_id) AS nth
      FROM entry LEFT JOIN step_places(p_tenant, ARRAY(SELECT id::text FROM subject_run)) AS p USING (run_id, step)) AS ordered
    WHERE nth <= 1000 ORDER BY event_id, nth;
END $$;
