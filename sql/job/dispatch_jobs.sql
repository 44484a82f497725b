-- job/dispatch_jobs
-- $1 uuid: host, locked by this transaction together with its repositories
-- $2 int8: seconds within which the host must answer
-- Hands out queued jobs as far as host and repositories have room, each under a new token; so it does again with those
-- that were never answered for, since the host cannot run one job twice.
WITH moment AS MATERIALIZED (SELECT clock_timestamp() AS now),
ready AS MATERIALIZED (
  SELECT job.id, job.repository, job.queued_at, run.id AS run
    FROM highwater.pending_run AS run
    JOIN highwater.backup_job AS job ON job.pending_run = run.id
   CROSS JOIN moment
   WHERE run.host = $1 AND run.settled_at IS NULL AND run.job IS NOT NULL AND run.state IN ('claimed', 'dispatched')
     AND run.not_before <= moment.now AND run.lease_until IS NULL
     AND (job.state = 'queued'
          OR (run.state = 'claimed' AND job.state IN ('dispatched', 'lost') AND job.started_at IS NULL
              AND job.lease_until < moment.now))
   ORDER BY job.id
     FOR UPDATE OF job
), fitting AS (
  SELECT ready.id, ready.run, row_number() OVER (ORDER BY ready.queued_at, ready.id) AS place
    FROM (SELECT ready.*, row_number() OVER (PARTITION BY ready.repository ORDER BY ready.queued_at, ready.id) AS place
            FROM ready) AS ready
    JOIN highwater.repository AS repository ON repository.id = ready.repository
   WHERE ready.place <= repository.max_concurrent - (
           SELECT count(*) FROM highwater.backup_job AS other
            WHERE other.repository = ready.repository AND other.state IN ('dispatched', 'running')
              AND other.id NOT IN (SELECT own.id FROM ready AS own))
), given AS (
  UPDATE highwater.backup_job AS job
     SET state = 'dispatched', lease_token = pg_catalog.nextval('highwater.dispatch_token'),
         lease_until = moment.now + $2::int8 * interval '1 second'
    FROM fitting
    JOIN highwater.host AS host ON host.id = $1
   CROSS JOIN moment
   WHERE job.id = fitting.id
     AND fitting.place <= host.max_concurrent - (
           SELECT count(*) FROM highwater.backup_job AS other
            WHERE other.host = $1 AND other.state IN ('dispatched', 'running')
              AND other.id NOT IN (SELECT own.id FROM ready AS own))
  RETURNING job.id, job.pending_run, job.kind, job.source_group, job.repository, job.schedule, job.slot_at, job.reason,
            job.attempt, job.lease_token, job.lease_until
), awaited AS (
  UPDATE highwater.pending_run AS run
     SET lease_until = given.lease_until
    FROM (SELECT given.pending_run, max(given.lease_until) AS lease_until FROM given GROUP BY given.pending_run) AS given
   WHERE run.id = given.pending_run AND run.state = 'claimed'
)
SELECT given.* FROM given ORDER BY given.lease_token
