, fold_{{ordinal}} AS (
  WITH {{relation}}
  INSERT INTO {{base}} AS b ({{column_list}})
  SELECT {{columns}} FROM (
{{query}}
  ) AS q
  ON CONFLICT ({{base_key}}) DO {{on_conflict}}
  RETURNING 1
)
