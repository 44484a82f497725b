-- scheduler/incarnation
-- A new identity for a worker: never the one of an earlier process of that name, whose runs it must not take for its own.
SELECT pg_catalog.gen_random_uuid()::text AS incarnation
