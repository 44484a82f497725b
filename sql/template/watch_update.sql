    -- Values are compared as they are written out: what a type takes for equal a query may still tell apart.
    INSERT INTO {{watch}} (watch, {{key_column}})
    SELECT DISTINCT {{ordinal}}, changed.key FROM (
      (SELECT r.{{key}} AS key{{images}} FROM old_row AS r EXCEPT ALL SELECT r.{{key}}{{images}} FROM new_row AS r)
      UNION ALL
      (SELECT r.{{key}} AS key{{images}} FROM new_row AS r EXCEPT ALL SELECT r.{{key}}{{images}} FROM old_row AS r)
    ) AS changed;
