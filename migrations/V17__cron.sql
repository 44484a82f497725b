-- Jobs that run as a cron expression fires in a time zone.

ALTER TABLE highwater.job
  ALTER COLUMN cadence DROP NOT NULL,
  ADD COLUMN cron text,
  ADD COLUMN tz text,
  ADD CONSTRAINT job_has_one_timing CHECK ((cadence IS NULL) = (cron IS NOT NULL)),
  ADD CONSTRAINT job_cron_has_a_zone CHECK ((cron IS NULL) = (tz IS NULL));
COMMENT ON COLUMN highwater.job.cadence IS 'Distance of plan times, counted from Monday, 2001-01-01 00:00 UTC; NULL for a job with a cron.';
COMMENT ON COLUMN highwater.job.cron IS 'Cron expression by which plan times come; NULL for a job with a cadence.';
COMMENT ON COLUMN highwater.job.tz IS 'IANA zone of the cron. What its clocks skip fires at the end of the gap; what they show twice fires once if the hour is fixed.';

ALTER TABLE highwater.job_scope
  ADD COLUMN next_plan_at timestamptz CONSTRAINT job_scope_next_plan_at_is_finite CHECK (isfinite(next_plan_at)),
  ADD COLUMN next_rule text;
COMMENT ON COLUMN highwater.job_scope.next_plan_at IS 'Of a cron: the first plan time after materialised_to, so that workers need not work it out each second. NULL: never again.';
COMMENT ON COLUMN highwater.job_scope.next_rule IS 'Zone and cron that next_plan_at was worked out for; for any other it counts for nothing.';

CREATE INDEX plan_unwell ON highwater.plan (state) WHERE state IN ('failed', 'poisoned');
COMMENT ON INDEX highwater.plan_unwell IS 'Counts what has failed for good, for metrics.';
CREATE INDEX plan_started ON highwater.plan (job, started_at DESC) WHERE started_at IS NOT NULL;
COMMENT ON INDEX highwater.plan_started IS 'Finds the last run of a job.';
