-- job/sweep_silent
-- Jobs in hand that nobody has heard of for a day, and lost ones whose next attempt was dispatched: they end, by inference. The
-- stamp is below that of any reported end. Read along the index of lists: only jobs in hand.
UPDATE highwater.backup_job AS job
   SET state = 'interrupted', is_inferred = true, finished_at = clock_timestamp(), ended_by = ARRAY[7, 0, 0, 0], error_class = 'lease',
       error = silent.why, rev = job.rev + 1
  FROM (SELECT open.id,
               CASE WHEN next.id IS NOT NULL THEN 'another attempt was dispatched: ' || next.id
                    ELSE 'no report for 24 hours' END AS why
          FROM highwater.backup_job AS open
          LEFT JOIN LATERAL (
               SELECT retry.id FROM highwater.backup_job AS retry
                WHERE retry.retry_of = open.id AND retry.state <> 'queued'
                LIMIT 1) AS next ON open.state = 'lost'
         WHERE open.state IN ('dispatched', 'running', 'lost')
           AND (next.id IS NOT NULL
                OR (greatest(open.lease_until, open.reported_at, open.opened_at) < clock_timestamp() - interval '24 hours'
                    -- The first reports of an old run may have come just now, with the rest behind them.
                    AND NOT EXISTS (
                          SELECT FROM highwater.job_event AS heard
                           WHERE heard.job = open.id AND heard.received_at >= clock_timestamp() - interval '24 hours')))
         ORDER BY open.id
         LIMIT 1000
           FOR NO KEY UPDATE OF open SKIP LOCKED) AS silent
 WHERE job.id = silent.id
RETURNING job.id
