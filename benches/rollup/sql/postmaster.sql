-- bench/postmaster
-- Process id of the postmaster; for a superuser.
SELECT split_part(pg_catalog.pg_read_file('postmaster.pid'), E'\n', 1)::integer AS pid
