-- schema/version
-- The newest applied version of highwater's own schema.
SELECT max(history.version)::bigint AS version FROM highwater.refinery_schema_history AS history
