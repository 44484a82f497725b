-- embedded/create_database
-- Highwater's database on the embedded server; its name is DATABASE in src/db/embedded.rs.
CREATE DATABASE highwater
