-- bench/backend
-- Nanoseconds that this backend has spent on a processor, see "schedstat" in the kernel's scheduler documentation; for
-- a superuser.
SELECT split_part(pg_catalog.pg_read_file('/proc/self/schedstat'), ' ', 1)::bigint AS nanoseconds
