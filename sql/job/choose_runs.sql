-- job/choose_runs
-- $1 uuid: host, locked by this transaction
-- Takes the owed runs that have room, one of each group, and makes their jobs, one for each repository that has no good
-- one yet. The newest slot runs; of a schedule that makes up for all slots the oldest; one asked for by hand before
-- both. The other owed runs of the group are served by it: what is backed up now serves every slot up to now.
WITH moment AS MATERIALIZED (SELECT clock_timestamp() AS now),
waiting AS MATERIALIZED (
  SELECT run.id, run.tenant, run.host, run.schedule, run.source_group, run.slot_at, run.attempt, run.reason,
         coalesce(schedule.catchup, 'hand') AS catchup
    FROM highwater.pending_run AS run
    JOIN highwater.source_group AS source_group ON source_group.id = run.source_group AND source_group.removed_at IS NULL
    LEFT JOIN highwater.schedule AS schedule ON schedule.id = run.schedule
   CROSS JOIN moment
   WHERE run.host = $1 AND run.settled_at IS NULL AND run.state = 'waiting' AND run.not_before <= moment.now
     AND (run.schedule IS NULL OR (schedule.enabled AND schedule.removed_at IS NULL))
     AND NOT EXISTS (SELECT FROM highwater.backup_job AS job
                      WHERE job.host = run.host AND job.source_group = run.source_group
                        AND job.state IN ('queued', 'dispatched', 'running'))
   ORDER BY run.id
     FOR UPDATE OF run
), first AS (
  SELECT DISTINCT ON (waiting.source_group) waiting.*
    FROM waiting
   ORDER BY waiting.source_group, CASE waiting.catchup WHEN 'hand' THEN 0 WHEN 'all' THEN 1 ELSE 2 END,
         CASE WHEN waiting.catchup IN ('hand', 'all') THEN waiting.slot_at END, waiting.slot_at DESC, waiting.id
), chosen AS MATERIALIZED (
  SELECT ranked.*
    FROM (SELECT first.*, row_number() OVER (ORDER BY first.slot_at, first.id) AS place FROM first) AS ranked
    JOIN highwater.host AS host ON host.id = ranked.host
   WHERE ranked.place <= host.max_concurrent - (
           SELECT count(*) FROM highwater.backup_job AS job
            WHERE job.host = $1 AND job.state IN ('queued', 'dispatched', 'running'))
), job AS (
  INSERT INTO highwater.backup_job (tenant, host, source_group, repository, schedule, pending_run, reason, slot_at, attempt,
                                    retry_of, state, queued_at)
  SELECT chosen.tenant, chosen.host, chosen.source_group, target.repository, chosen.schedule, chosen.id, chosen.reason,
         chosen.slot_at, chosen.attempt, previous.id, 'queued', moment.now
    FROM chosen
    JOIN highwater.group_repository AS target ON target.source_group = chosen.source_group
    LEFT JOIN highwater.backup_job AS previous
      ON previous.pending_run = chosen.id AND previous.repository = target.repository
     AND previous.attempt = chosen.attempt - 1
   CROSS JOIN moment
   WHERE NOT EXISTS (SELECT FROM highwater.backup_job AS good
                      WHERE good.pending_run = chosen.id AND good.repository = target.repository AND good.outcome = 'good')
  ON CONFLICT (pending_run, repository, attempt) DO NOTHING
  RETURNING id, pending_run
), lead_job AS (
  SELECT job.pending_run, min(job.id::text)::uuid AS id FROM job GROUP BY job.pending_run
), taken AS (
  UPDATE highwater.pending_run AS run
     SET state = 'claimed', job = lead_job.id, dispatches = 0, lease_until = NULL, why = NULL
    FROM lead_job
   WHERE run.id = lead_job.pending_run
  RETURNING run.id
), served AS (
  UPDATE highwater.pending_run AS run
     SET state = 'superseded', settled_at = moment.now,
         why = 'served by the run of ' || to_char(chosen.slot_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') || ' UTC'
    FROM waiting
    JOIN chosen ON chosen.source_group = waiting.source_group
   CROSS JOIN moment
   WHERE run.id = waiting.id AND waiting.id <> chosen.id AND waiting.catchup IN ('none', 'one')
), told AS (
  UPDATE highwater.run_slot AS slot
     SET how = 'ran', job = lead_job.id, why = NULL
    FROM chosen
    JOIN lead_job ON lead_job.pending_run = chosen.id
   WHERE slot.schedule = chosen.schedule AND slot.source_group = chosen.source_group AND slot.slot_at = chosen.slot_at
)
SELECT count(*) AS runs FROM taken
