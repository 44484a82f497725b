-- What is overdue, looked up row by row: a plan that joins would trust an estimate of one row, and go through all hosts for each
-- candidate. Each condition is a look into a small index; OFFSET 0 keeps it one.
CREATE OR REPLACE VIEW highwater.overdue AS
SELECT schedule.tenant, schedule.host, schedule.id AS schedule, progress.source_group, progress.last_slot,
       schedule.catchup, schedule.catchup_window, schedule.settle, progress.last_success_slot
  FROM highwater.schedule_progress AS progress
  JOIN highwater.schedule AS schedule ON schedule.id = progress.schedule
 WHERE (progress.last_success_slot IS NULL OR progress.last_slot > progress.last_success_slot)
   AND schedule.enabled AND schedule.removed_at IS NULL AND schedule.catchup <> 'none'
   AND progress.last_slot >= now() - schedule.catchup_window
   AND (progress.backoff_until IS NULL OR progress.backoff_until <= now())
   AND EXISTS (SELECT FROM highwater.schedule_group AS member
                 JOIN highwater.source_group AS source_group ON source_group.id = member.source_group
                WHERE member.schedule = progress.schedule AND member.source_group = progress.source_group
                  AND source_group.removed_at IS NULL
               OFFSET 0)
   AND EXISTS (SELECT FROM highwater.run_slot AS slot
                WHERE slot.schedule = progress.schedule AND slot.source_group = progress.source_group
                  AND slot.slot_at = progress.last_slot AND slot.how = 'missed'
               OFFSET 0)
   -- a run of the group that is owed already, or was given up
   AND NOT EXISTS (SELECT FROM highwater.pending_run AS run
                    WHERE run.host = schedule.host AND run.source_group = progress.source_group
                      AND run.state IN ('waiting', 'claimed')
                   OFFSET 0)
   AND NOT EXISTS (SELECT FROM highwater.pending_run AS run
                    WHERE run.schedule = progress.schedule AND run.source_group = progress.source_group
                      AND run.slot_at = progress.last_slot AND run.state <> 'superseded'
                   OFFSET 0)
   AND NOT EXISTS (SELECT FROM highwater.backup_job AS job
                    WHERE job.host = schedule.host AND job.source_group = progress.source_group
                      AND job.state IN ('queued', 'dispatched', 'running')
                   OFFSET 0);

-- Nothing looks for owed runs of all hosts at once; each host asks for its own.
DROP INDEX highwater.pending_run_due;

-- A run that waits is found by its host and group; only one that has a job is looked at by every pass.
DROP INDEX highwater.pending_run_unsettled;
CREATE INDEX pending_run_unsettled ON highwater.pending_run (host, id)
 WHERE settled_at IS NULL AND job IS NOT NULL AND state IN ('waiting', 'claimed', 'dispatched');
COMMENT ON INDEX highwater.pending_run_unsettled IS 'Runs with a job that has not been answered for; stays as small as they are few.';
