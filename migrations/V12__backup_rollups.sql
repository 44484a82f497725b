-- highwater: add-rollup ../sql/rollups/backup_job_hourly.toml
-- highwater: add-rollup ../sql/rollups/slot_hourly.toml
-- Hourly backup jobs by host, group, repository, schedule, kind and state; hourly slots by host, schedule, group and how.
SELECT 'backup_job_hourly and slot_hourly are installed by the directives above' AS note;
