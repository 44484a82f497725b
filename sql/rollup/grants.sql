-- rollup/grants
-- $1 text: relation, qualified and quoted
-- $2 text: relation that gets the same rights, qualified and quoted
-- Statements that grant to a relation what others may do with another. The owner's own rights come with it.
SELECT pg_catalog.format('GRANT %s%s ON %s TO %s%s', grant_of.privilege_type, grant_of.column_list, $2::text,
                         CASE WHEN grant_of.grantee = 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(role.rolname) END,
                         CASE WHEN grant_of.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END) AS statement,
       grant_of.column_name
  FROM (
    SELECT acl.privilege_type, acl.grantee, acl.is_grantable, '' AS column_list, NULL::text AS column_name, class.relowner
      FROM pg_catalog.pg_class AS class CROSS JOIN LATERAL pg_catalog.aclexplode(class.relacl) AS acl
     WHERE class.oid = pg_catalog.to_regclass($1)
    UNION ALL
    SELECT acl.privilege_type, acl.grantee, acl.is_grantable, pg_catalog.format(' (%I)', attribute.attname),
           attribute.attname::text, class.relowner
      FROM pg_catalog.pg_class AS class
      JOIN pg_catalog.pg_attribute AS attribute ON attribute.attrelid = class.oid AND NOT attribute.attisdropped
     CROSS JOIN LATERAL pg_catalog.aclexplode(attribute.attacl) AS acl
     WHERE class.oid = pg_catalog.to_regclass($1)) AS grant_of
  LEFT JOIN pg_catalog.pg_roles AS role ON role.oid = grant_of.grantee
 WHERE grant_of.grantee <> grant_of.relowner
 ORDER BY 1
