-- From due to dispatched: what the server remembers of a run that is owed, and how it finds what is open.

ALTER TABLE highwater.pending_run
  ADD COLUMN dispatches integer NOT NULL DEFAULT 0 CONSTRAINT pending_run_dispatches_are_counted CHECK (dispatches >= 0),
  ADD COLUMN settled_at timestamptz;
COMMENT ON COLUMN highwater.pending_run.dispatches IS 'How often it was handed to its host without an answer.';
COMMENT ON COLUMN highwater.pending_run.settled_at IS 'When its jobs had ended and the slot was answered for; NULL: not yet.';
CREATE INDEX pending_run_unsettled ON highwater.pending_run (host, id) WHERE settled_at IS NULL AND state IN ('waiting', 'claimed', 'dispatched');
COMMENT ON INDEX highwater.pending_run_unsettled IS 'Runs in hand; stays as small as they are few.';

CREATE INDEX schedule_progress_behind ON highwater.schedule_progress (schedule, source_group)
 WHERE last_success_slot IS NULL OR last_slot > last_success_slot;
COMMENT ON INDEX highwater.schedule_progress_behind IS 'What may be overdue, for the sweep.';

CREATE INDEX backup_job_open ON highwater.backup_job (host, source_group) WHERE state IN ('queued', 'dispatched', 'running');
COMMENT ON INDEX highwater.backup_job_open IS 'What a host has in hand, whatever its history.';
CREATE INDEX backup_job_open_in_repository ON highwater.backup_job (repository) WHERE state IN ('queued', 'dispatched', 'running');
COMMENT ON INDEX highwater.backup_job_open_in_repository IS 'How many write to a repository.';
CREATE INDEX backup_job_unowed ON highwater.backup_job (opened_at) WHERE pending_run IS NULL AND schedule IS NOT NULL;
COMMENT ON INDEX highwater.backup_job_unowed IS 'Jobs that a host began by itself and whose slot has not been answered for.';

CREATE INDEX run_slot_missed ON highwater.run_slot (source_group, slot_at) WHERE how = 'missed';
COMMENT ON INDEX highwater.run_slot_missed IS 'What a good backup may cover.';

CREATE FUNCTION highwater.jitter_of(schedule uuid, jitter interval) RETURNS interval
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
  -- The last 32 bits of a UUIDv7 are random and stay: a fixed part of the span for each schedule.
  SELECT jitter * (('x' || right(schedule::text, 8))::bit(32)::bigint / 4294967296.0)
$$;
COMMENT ON FUNCTION highwater.jitter_of(uuid, interval) IS 'By how much the runs of a schedule begin after their slots: always the same for one schedule.';

CREATE FUNCTION highwater.pause_before(attempt integer, base interval, cap interval) RETURNS interval
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
  -- Beyond 2^20 of any base the cap holds; the bound keeps the power from overflowing.
  SELECT least(base * power(2, least(greatest(attempt - 1, 0), 20)), cap)
$$;
COMMENT ON FUNCTION highwater.pause_before(integer, interval, interval) IS 'Pause before the attempt after the given one: doubles each time, up to the cap.';

CREATE VIEW highwater.overdue AS
SELECT schedule.tenant, schedule.host, schedule.id AS schedule, progress.source_group, progress.last_slot,
       schedule.catchup, schedule.catchup_window, schedule.settle, progress.last_success_slot
  FROM highwater.schedule_progress AS progress
  JOIN highwater.schedule AS schedule ON schedule.id = progress.schedule
  JOIN highwater.schedule_group AS member ON member.schedule = schedule.id AND member.source_group = progress.source_group
  JOIN highwater.source_group AS source_group ON source_group.id = progress.source_group
  JOIN highwater.run_slot AS slot
    ON slot.schedule = progress.schedule AND slot.source_group = progress.source_group AND slot.slot_at = progress.last_slot
 WHERE (progress.last_success_slot IS NULL OR progress.last_slot > progress.last_success_slot)
   AND schedule.enabled AND schedule.removed_at IS NULL AND source_group.removed_at IS NULL
   AND schedule.catchup <> 'none'
   AND slot.how = 'missed'
   AND progress.last_slot >= now() - schedule.catchup_window
   AND (progress.backoff_until IS NULL OR progress.backoff_until <= now())
   -- a run of the group that is owed already, or was given up
   AND NOT EXISTS (SELECT FROM highwater.pending_run AS run
                    WHERE run.host = schedule.host AND run.source_group = progress.source_group
                      AND run.state IN ('waiting', 'claimed'))
   AND NOT EXISTS (SELECT FROM highwater.pending_run AS run
                    WHERE run.schedule = progress.schedule AND run.source_group = progress.source_group
                      AND run.slot_at = progress.last_slot AND run.state <> 'superseded')
   AND NOT EXISTS (SELECT FROM highwater.backup_job AS job
                    WHERE job.host = schedule.host AND job.source_group = progress.source_group
                      AND job.state IN ('queued', 'dispatched', 'running'));
COMMENT ON VIEW highwater.overdue IS 'Schedules and groups whose latest slot is missed and may be made up for now.';
COMMENT ON COLUMN highwater.overdue.tenant IS 'That of the host.';
COMMENT ON COLUMN highwater.overdue.host IS 'The host.';
COMMENT ON COLUMN highwater.overdue.schedule IS 'The schedule.';
COMMENT ON COLUMN highwater.overdue.source_group IS 'The group.';
COMMENT ON COLUMN highwater.overdue.last_slot IS 'The slot that is overdue.';
COMMENT ON COLUMN highwater.overdue.catchup IS 'one or all.';
COMMENT ON COLUMN highwater.overdue.catchup_window IS 'How far back all goes.';
COMMENT ON COLUMN highwater.overdue.settle IS 'How long a host that has woken is left alone.';
COMMENT ON COLUMN highwater.overdue.last_success_slot IS 'The newest slot with a good backup.';

INSERT INTO highwater.job (name, kind, scopes, cadence, catch_up_window, timeout, backoff, max_attempts, max_crashes) VALUES
  ('backups', 'builtin', 'single', '1 minute', '1 minute', '5 minutes', '1 second', 5, 20);
UPDATE highwater.job SET keep_done = '2 days' WHERE name = 'backups';
