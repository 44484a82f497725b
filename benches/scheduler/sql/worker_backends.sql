-- bench/worker_backends
-- Nanoseconds that the worker's server processes have spent on a processor so far; for a superuser.
SELECT coalesce(sum(split_part(pg_catalog.pg_read_file('/proc/' || activity.pid || '/schedstat', 0, 4096, true), ' ', 1)::float8), 0) AS nanoseconds
  FROM pg_catalog.pg_stat_activity AS activity
 WHERE activity.application_name LIKE 'highwater/worker%'
