    IF {{columns_are_kept}} THEN
      INSERT INTO {{mark}} ({{mark_columns}})
      SELECT DISTINCT {{mark_values}} FROM {{rows}} AS s WHERE {{countable}};
    ELSE
      INSERT INTO {{wide}} (lo, hi, recount) VALUES ('-infinity', 'infinity', true);
    END IF;
