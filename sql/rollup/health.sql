-- rollup/health
-- How the database is, for a backfill that does not want to be in anybody's way. Of other roles' sessions and of replicas
-- only members of pg_monitor see enough; what is not seen is no reason to wait. waiting: sessions held up by a lock of ours.
WITH session AS MATERIALIZED (
  SELECT activity.pid, activity.state, activity.wait_event_type, activity.application_name LIKE 'highwater/%' AS is_ours
    FROM pg_catalog.pg_stat_activity AS activity
   WHERE activity.datname = pg_catalog.current_database() AND activity.backend_type = 'client backend'
), held_up AS (
  SELECT DISTINCT waiter.pid
    FROM session AS waiter
   CROSS JOIN LATERAL unnest(pg_catalog.pg_blocking_pids(waiter.pid)) AS blocker (pid)
    JOIN session AS holder ON holder.pid = blocker.pid AND holder.is_ours
   WHERE waiter.wait_event_type = 'Lock' AND NOT waiter.is_ours
)
SELECT (SELECT count(*) FROM held_up) AS waiting,
       (SELECT count(*) FROM session WHERE session.state = 'active' AND NOT session.is_ours) AS load,
       (SELECT extract(epoch FROM max(replica.replay_lag))::float8 FROM pg_catalog.pg_stat_replication AS replica) AS lag_seconds,
       pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_insert_lsn(), '0/0')::float8 AS wal_bytes,
       extract(epoch FROM clock_timestamp())::float8 AS at
