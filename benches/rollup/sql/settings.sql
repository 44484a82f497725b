-- bench/settings
-- Of a small database server that keeps its promises. No checkpoint and no vacuum falls into a measurement by chance.
ALTER SYSTEM SET fsync = on;
ALTER SYSTEM SET synchronous_commit = on;
ALTER SYSTEM SET shared_buffers = '512MB';
ALTER SYSTEM SET max_wal_size = '4GB';
ALTER SYSTEM SET checkpoint_timeout = '1h';
ALTER SYSTEM SET work_mem = '64MB';
ALTER SYSTEM SET jit = off;
ALTER SYSTEM SET max_connections = 200;
ALTER SYSTEM SET autovacuum = off
