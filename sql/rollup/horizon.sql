-- rollup/horizon
-- Who holds the oldest snapshot that this database's rows must be kept for: rows deleted since then cannot be cleaned away.
-- What other roles' sessions hold is seen by members of pg_read_all_stats only. No row: nobody holds one.
SELECT holder.words, holder.transactions, holder.seconds FROM (
  SELECT format('pid %s (%s, user %s, %s)', activity.pid, coalesce(nullif(activity.application_name, ''), 'unnamed'),
                activity.usename, activity.state) AS words,
         pg_catalog.age(activity.backend_xmin)::bigint AS transactions,
         extract(epoch FROM clock_timestamp() - activity.xact_start)::float8 AS seconds
    FROM pg_catalog.pg_stat_activity AS activity
   WHERE activity.backend_xmin IS NOT NULL AND activity.pid <> pg_catalog.pg_backend_pid()
     AND (activity.datname = pg_catalog.current_database() OR activity.datname IS NULL)
  UNION ALL
  SELECT format('prepared transaction %s of user %s', prepared.gid, prepared.owner), pg_catalog.age(prepared.transaction)::bigint,
         extract(epoch FROM clock_timestamp() - prepared.prepared)::float8
    FROM pg_catalog.pg_prepared_xacts AS prepared WHERE prepared.database = pg_catalog.current_database()
  UNION ALL
  SELECT format('replication slot %s', slot.slot_name), pg_catalog.age(slot.xmin)::bigint, NULL
    FROM pg_catalog.pg_replication_slots AS slot WHERE slot.xmin IS NOT NULL
) AS holder
 ORDER BY holder.transactions DESC, holder.words
 LIMIT 1
