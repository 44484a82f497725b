-- job/why
-- $1 uuid: host
-- $2 uuid: group
-- $3 timestamptz: at or before this moment
-- The latest slots of a group with all that decided about them, newest first.
SELECT slot.slot_at, slot.schedule, slot.how, slot.why AS slot_why, schedule.cron, schedule.tz, schedule.catchup, schedule.enabled,
       schedule.removed_at IS NOT NULL AS is_removed, schedule.overlap, schedule.start_deadline IS NOT NULL AS has_deadline,
       run.id AS run, run.state AS run_state, run.reason AS run_reason, run.attempt, run.dispatches, run.not_before,
       run.settled_at, run.why AS run_why, job.id AS job, job.state AS job_state, job.error_class, job.error, job.slot_at AS job_slot_at,
       job.finished_at, host.state AS host_state, host.mode AS host_mode, host.last_seen_at, arm.due_at AS armed_until,
       arm.tries AS arm_tries, progress.backoff_until, progress.consecutive_failures, clock_timestamp() AS now
  FROM highwater.run_slot AS slot
  JOIN highwater.schedule AS schedule ON schedule.id = slot.schedule
  JOIN highwater.host AS host ON host.id = slot.host
  LEFT JOIN highwater.pending_run AS run
    ON run.schedule = slot.schedule AND run.source_group = slot.source_group AND run.slot_at = slot.slot_at
  LEFT JOIN highwater.backup_job AS job ON job.id = coalesce(slot.job, run.job)
  LEFT JOIN highwater.catchup_arm AS arm ON arm.host = slot.host
  LEFT JOIN highwater.schedule_progress AS progress
    ON progress.schedule = slot.schedule AND progress.source_group = slot.source_group
 WHERE slot.host = $1 AND slot.source_group = $2 AND slot.slot_at <= $3
 ORDER BY slot.slot_at DESC, slot.schedule
 LIMIT {limit}
