-- rollup/lock_holder
-- $1 text: name
-- $2 text: kind of work
-- Who holds the lock of such work on a rollup; no row when it is free.
SELECT format('pid %s (%s, user %s%s) since %s', activity.pid, coalesce(nullif(activity.application_name, ''), 'unnamed'),
              activity.usename, coalesce(', from ' || host(activity.client_addr), ''),
              to_char(activity.backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"')) AS holder
  FROM pg_catalog.pg_locks AS lock
  JOIN pg_catalog.pg_stat_activity AS activity ON activity.pid = lock.pid
 WHERE lock.locktype = 'advisory' AND lock.granted AND lock.objsubid = 2
   AND lock.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
   AND lock.classid::bigint = (pg_catalog.hashtext($2)::bigint & 4294967295)
   AND lock.objid::bigint = (pg_catalog.hashtext($1)::bigint & 4294967295)
