-- rollup/older_snapshots
-- $1 text: a horizon
-- Sessions of this database that may still look at it as it was before the horizon, in words; the oldest first.
SELECT format('pid %s (%s, user %s) since %s', activity.pid, coalesce(nullif(activity.application_name, ''), 'unnamed'),
              activity.usename, coalesce(to_char(activity.xact_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"'), 'some time')) AS holder
  FROM pg_catalog.pg_stat_activity AS activity
 WHERE activity.datname = current_database() AND activity.pid <> pg_catalog.pg_backend_pid()
   AND activity.backend_type <> 'autovacuum worker'
   AND pg_catalog.age(activity.backend_xmin) > pg_catalog.age($1::xid8::xid)
 ORDER BY pg_catalog.age(activity.backend_xmin) DESC
