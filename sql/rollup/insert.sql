-- rollup/insert
-- $1 text: name
-- $2 text: definition file
-- $3 text: SHA-256 of the definition, hex
-- $4 text: source, qualified, quoted where it must be
-- $5 text: target, likewise
-- $6 text: capture function, likewise
-- $7 text: time column
-- $8 text: tenant column, NULL for none
-- $9 text: grain as an interval
INSERT INTO highwater.rollup (name, definition, definition_sha256, source, target, capture_function, time_column,
                              tenant_column, grain)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9::interval)
