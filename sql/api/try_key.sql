-- api/try_key
-- $1 uuid: host
-- $2 text: idempotency key
-- Makes the key this transaction's own, without waiting. False: another transaction is at work on it.
SELECT pg_catalog.pg_try_advisory_xact_lock(pg_catalog.hashtextextended('highwater key ' || $1::text || ' ' || $2, 0)) AS is_ours
