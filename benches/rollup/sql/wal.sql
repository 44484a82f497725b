-- bench/wal
-- Bytes of WAL that the server has ever written.
SELECT pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_insert_lsn(), '0/0')::float8 AS bytes
