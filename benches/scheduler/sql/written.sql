-- bench/written
-- What was written so far: the server's log, and this session's updates of leases.
SELECT pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_insert_lsn(), '0/0')::int8 AS log_bytes,
       pg_catalog.pg_stat_get_tuples_updated(lease.oid) AS updates, pg_catalog.pg_stat_get_tuples_hot_updated(lease.oid) AS hot_updates
  FROM (SELECT 'highwater.lease'::regclass AS oid, pg_catalog.pg_stat_force_next_flush()) AS lease
