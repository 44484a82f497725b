-- job/slots
-- $1 uuid: host
-- $2 timestamptz: from, inclusive
-- $3 timestamptz: to, exclusive
-- $4 timestamptz: slot of the last row of the page before; NULL: the first page
-- $5 text: schedule of that row
-- $6 text: group of that row
-- $7 text: only this "how"; NULL: all
-- One page of a host's slots, newest first; the limit is put in by the program.
SELECT slot.slot_at, slot.schedule, slot.source_group, slot.how, slot.why, slot.job, source_group.name AS group_name,
       job.state AS job_state, run.state AS run_state, schedule.cron, schedule.tz
  FROM highwater.run_slot AS slot
  JOIN highwater.source_group AS source_group ON source_group.id = slot.source_group
  JOIN highwater.schedule AS schedule ON schedule.id = slot.schedule
  LEFT JOIN highwater.backup_job AS job ON job.id = slot.job
  LEFT JOIN highwater.pending_run AS run
    ON run.schedule = slot.schedule AND run.source_group = slot.source_group AND run.slot_at = slot.slot_at
   AND run.settled_at IS NULL
 WHERE slot.host = $1 AND slot.slot_at >= $2 AND slot.slot_at < $3
   AND ($4::timestamptz IS NULL
        OR (slot.slot_at, slot.schedule, slot.source_group) < ($4, ($5::text)::uuid, ($6::text)::uuid))
   AND ($7::text IS NULL OR slot.how = $7)
 ORDER BY slot.slot_at DESC, slot.schedule DESC, slot.source_group DESC
 LIMIT {limit}
