    -- A jump costs about as much as reading fifty rows, and a month takes a jump for some of the tenants: from a
    -- thousand rows a tenant on, jumping is far cheaper than a scan. The size is the planner's, so that a source that
    -- was never analyzed is scanned. The index must sort as ORDER BY does.
    WITH RECURSIVE size (rows) AS (
      SELECT class.reltuples FROM pg_class AS class
       WHERE class.oid = to_regclass({{source_literal}}) AND EXISTS (
         SELECT FROM pg_index AS i
           JOIN pg_class AS c ON c.oid = i.indexrelid
           JOIN pg_am AS am ON am.oid = c.relam
           JOIN pg_opclass AS opclass ON opclass.oid = i.indclass[0]
           JOIN pg_attribute AS first ON first.attrelid = i.indrelid AND first.attnum = i.indkey[0]
           JOIN pg_attribute AS second ON second.attrelid = i.indrelid AND second.attnum = i.indkey[1]
          WHERE i.indrelid = class.oid AND i.indisvalid AND i.indpred IS NULL AND am.amname = 'btree'
            AND first.attname = {{tenant_name_literal}} AND i.indcollation[0] = first.attcollation AND opclass.opcdefault
            AND second.attname = {{time_name_literal}} AND i.indnkeyatts >= 2)
    ), tenant (id, ordinal) AS (
      (SELECT s.{{tenant}}, 1 FROM size CROSS JOIN LATERAL (
         SELECT s.{{tenant}} FROM {{source}} AS s ORDER BY s.{{tenant}} LIMIT 1) AS s)
      UNION ALL
      SELECT (SELECT s.{{tenant}} FROM {{source}} AS s WHERE s.{{tenant}} > tenant.id ORDER BY s.{{tenant}} LIMIT 1),
             tenant.ordinal + 1
        FROM tenant CROSS JOIN size
       WHERE tenant.id IS NOT NULL AND tenant.ordinal * 1000 <= size.rows
    )
    SELECT max(tenant.ordinal) * 1000 <= max(size.rows) FROM tenant CROSS JOIN size WHERE tenant.id IS NOT NULL
