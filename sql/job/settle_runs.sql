-- job/settle_runs
-- Answers for runs whose jobs have ended. Good in every repository: done, whatever attempt it was, and be it one that was
-- reported late. Bad in one: another attempt after a pause, or given up. Neither, such as cancelled: the slot is skipped.
-- Returns the good ones, whose backup may cover other slots too.
WITH moment AS MATERIALIZED (SELECT clock_timestamp() AS now),
hand AS MATERIALIZED (
  SELECT run.id, run.state, run.attempt, source_group.retry_max, source_group.retry_base, source_group.retry_cap
    FROM highwater.pending_run AS run
    JOIN highwater.source_group AS source_group ON source_group.id = run.source_group
   WHERE run.settled_at IS NULL AND run.state IN ('waiting', 'claimed', 'dispatched') AND run.job IS NOT NULL
   ORDER BY run.id
   LIMIT 10000
     FOR UPDATE OF run SKIP LOCKED
), target AS (
  SELECT hand.id, job.repository, bool_or(job.outcome IS NULL) AS is_open,
         coalesce(bool_or(job.outcome = 'good'), false) AS is_good,
         (array_agg(job.outcome ORDER BY job.attempt DESC))[1] AS outcome,
         (array_agg(job.id ORDER BY job.outcome = 'good' DESC, job.attempt DESC))[1] AS job,
         (array_agg(coalesce(job.error, job.error_class, job.state) ORDER BY job.attempt DESC))[1] AS words,
         min(coalesce(job.queued_at, job.started_at, job.slot_at)) FILTER (WHERE job.outcome = 'good') AS begun_at,
         max(job.finished_at) FILTER (WHERE job.outcome = 'good') AS good_at
    FROM hand
    JOIN highwater.backup_job AS job ON job.pending_run = hand.id
   GROUP BY hand.id, job.repository
), judged AS MATERIALIZED (
  SELECT hand.*, target.job, target.begun_at, target.good_at, target.words,
         CASE WHEN target.is_good THEN 'good'
              WHEN target.is_open OR hand.state = 'waiting' THEN 'open'
              WHEN NOT target.is_bad THEN 'none'
              WHEN hand.attempt <= hand.retry_max THEN 'retry'
              ELSE 'bad' END AS verdict
    FROM hand
    JOIN (SELECT target.id, bool_or(target.is_open AND NOT target.is_good) AS is_open, bool_and(target.is_good) AS is_good,
                 bool_or(NOT target.is_good AND target.outcome = 'bad') AS is_bad,
                 (array_agg(target.job ORDER BY target.is_good, target.job))[1] AS job,
                 (array_agg(target.words ORDER BY target.is_good, target.job))[1] AS words,
                 min(target.begun_at) AS begun_at, max(target.good_at) AS good_at
            FROM target
           GROUP BY target.id) AS target ON target.id = hand.id
), settled AS (
  UPDATE highwater.pending_run AS run
     SET state = CASE judged.verdict WHEN 'retry' THEN 'waiting' WHEN 'bad' THEN 'abandoned' ELSE 'dispatched' END,
         settled_at = CASE WHEN judged.verdict <> 'retry' THEN moment.now END,
         attempt = run.attempt + CASE WHEN judged.verdict = 'retry' THEN 1 ELSE 0 END,
         reason = CASE WHEN judged.verdict = 'retry' THEN 'retry' ELSE run.reason END,
         not_before = CASE WHEN judged.verdict = 'retry'
           THEN moment.now + highwater.pause_before(run.attempt, judged.retry_base, judged.retry_cap) ELSE run.not_before END,
         lease_until = NULL, job = judged.job,
         why = CASE judged.verdict WHEN 'good' THEN NULL
                 WHEN 'none' THEN judged.words
                 WHEN 'retry' THEN 'attempt ' || run.attempt || ' failed: ' || judged.words
                 ELSE 'given up after ' || run.attempt || ' attempts: ' || judged.words END
    FROM judged CROSS JOIN moment
   WHERE run.id = judged.id AND judged.verdict <> 'open'
  RETURNING run.id, run.host, run.schedule, run.source_group, run.slot_at, run.why, run.not_before, judged.verdict,
            judged.job, judged.begun_at, judged.good_at, judged.attempt, judged.retry_base, judged.retry_cap
), told AS (
  UPDATE highwater.run_slot AS slot
     SET how = CASE WHEN settled.verdict = 'none' THEN 'skipped' ELSE 'ran' END, job = settled.job,
         why = CASE WHEN settled.verdict = 'good' THEN NULL ELSE settled.why END
    FROM settled
   WHERE slot.schedule = settled.schedule AND slot.source_group = settled.source_group AND slot.slot_at = settled.slot_at
), progress AS (
  UPDATE highwater.schedule_progress AS progress
     SET last_success_slot = CASE WHEN settled.verdict = 'good'
           THEN greatest(progress.last_success_slot, settled.slot_at) ELSE progress.last_success_slot END,
         last_success_at = CASE WHEN settled.verdict = 'good'
           THEN greatest(progress.last_success_at, settled.good_at) ELSE progress.last_success_at END,
         consecutive_failures = CASE settled.verdict WHEN 'good' THEN 0 WHEN 'none' THEN progress.consecutive_failures
           ELSE progress.consecutive_failures + 1 END,
         backoff_until = CASE settled.verdict WHEN 'good' THEN NULL WHEN 'none' THEN progress.backoff_until
           WHEN 'retry' THEN settled.not_before
           ELSE moment.now + highwater.pause_before(settled.attempt, settled.retry_base, settled.retry_cap) END
    FROM settled CROSS JOIN moment
   WHERE progress.schedule = settled.schedule AND progress.source_group = settled.source_group
)
SELECT settled.source_group, settled.begun_at, settled.good_at, settled.job
  FROM settled
 WHERE settled.verdict = 'good'
