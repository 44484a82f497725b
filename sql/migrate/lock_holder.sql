-- migrate/lock_holder
-- $1 int8 key of the advisory lock
-- Who holds the lock: no row when it was just given back. Columns that our role may not see are NULL.
SELECT lock.pid, activity.application_name, activity.usename::text AS user_name, activity.backend_start,
       host(activity.client_addr) AS client
  FROM pg_catalog.pg_locks AS lock
  LEFT JOIN pg_catalog.pg_stat_activity AS activity ON activity.pid = lock.pid
 WHERE lock.locktype = 'advisory'
   AND lock.database = (SELECT own.oid FROM pg_catalog.pg_database AS own WHERE own.datname = current_database())
   AND lock.objsubid = 1
   AND (lock.classid::int8 << 32) | lock.objid::int8 = $1
   AND lock.granted
 LIMIT 1
