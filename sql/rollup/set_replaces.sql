-- rollup/set_replaces
-- $1 text: name of a rollup that is being built
-- $2 text: the one whose place it will take
UPDATE highwater.rollup AS rollup SET replaces = $2 WHERE rollup.name = $1
