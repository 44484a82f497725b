-- highwater: require-rollup usage_hourly, backup_job_hourly
-- What counts backups is complete and proven from here on; a job looks after reports that do not come.

CREATE INDEX backup_record_kept ON highwater.backup_record (source_group, kept_at, id) WHERE state IN ('complete', 'pruning');
COMMENT ON INDEX highwater.backup_record_kept IS 'For retention: what a group has, however much it ever had.';

INSERT INTO highwater.job (name, kind, scopes, cadence, catch_up_window, timeout, backoff, max_attempts, max_crashes, keep_done) VALUES
  ('reports', 'builtin', 'single', '1 minute', '1 minute', '5 minutes', '10 seconds', 5, 20, '2 days');
