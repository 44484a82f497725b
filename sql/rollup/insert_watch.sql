-- rollup/insert_watch
-- $1 text: name
-- $2 integer: which of the definition's watched tables, from 1
-- $3 text: watched table, qualified, quoted where it must be
INSERT INTO highwater.rollup_watch (rollup, ordinal, relation) VALUES ($1, $2, $3)
