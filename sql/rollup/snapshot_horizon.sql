-- rollup/snapshot_horizon
-- No transaction that has ended by now has this number or a higher one.
SELECT pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::text AS horizon
