-- bench/transactions
-- Transactions of this database that have ended so far.
SELECT stat.xact_commit + stat.xact_rollback AS count
  FROM pg_catalog.pg_stat_database AS stat
 WHERE stat.datname = pg_catalog.current_database()
