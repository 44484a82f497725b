-- migrate/run_settings
-- For the sessions of a run: limits that an administrator sets for people's queries must not cut a migration, and
-- files are read as the standard spells strings.
SELECT pg_catalog.set_config('statement_timeout', '0', false),
       pg_catalog.set_config('lock_timeout', '0', false),
       pg_catalog.set_config('idle_in_transaction_session_timeout', '0', false),
       pg_catalog.set_config('idle_session_timeout', '0', false),
       pg_catalog.set_config('standard_conforming_strings', 'on', false)
