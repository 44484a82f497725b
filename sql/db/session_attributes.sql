-- db/session_attributes
-- Whether the server is a standby, and whether sessions on it begin read-only.
SELECT pg_catalog.pg_is_in_recovery() AS is_standby,
       pg_catalog.pg_is_in_recovery() OR pg_catalog.current_setting('default_transaction_read_only') = 'on' AS is_read_only
