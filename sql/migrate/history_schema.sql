-- migrate/history_schema
-- {schema} quoted schema of the history table
CREATE SCHEMA IF NOT EXISTS {schema}
