-- template/redefine
-- Another definition of the same tables.
UPDATE highwater.rollup AS r SET definition = {{definition}}, definition_sha256 = {{definition_sha256}}
 WHERE r.name = {{name_literal}};
