-- migrate/index_likeness
-- {clone} quoted name of the table, unqualified
-- {table} quoted name of the table, as the migration gives it
-- An empty table of the same columns and name, so that the server itself can say what a definition means.
CREATE TEMPORARY TABLE {clone} (LIKE {table})
