-- rollup/delete
-- $1 text: name
-- Its slices go with it.
DELETE FROM highwater.rollup AS rollup WHERE rollup.name = $1 RETURNING rollup.name
