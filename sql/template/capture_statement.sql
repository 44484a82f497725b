    INSERT INTO {{mark}} ({{mark_columns}})
    SELECT DISTINCT {{mark_values}} FROM {{rows}} AS s WHERE {{countable}};
