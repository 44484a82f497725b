    -- Both sides are read once and joined as they come: kept aside first they cost a quarter more.
    WITH new_row AS NOT MATERIALIZED (
      -- what the source says
      {{new_rows}}
    ), old_row AS NOT MATERIALIZED (
      -- what the rollup says; ctid finds the row again without an index
      {{old_rows}}
    ), difference AS MATERIALIZED (
      SELECT o.highwater_row, n.bucket IS NULL AS highwater_gone, {{difference_columns}}
        FROM old_row AS o
        FULL JOIN new_row AS n ON {{same_key}}
       WHERE o.highwater_row IS NULL OR n.bucket IS NULL OR {{measures_differ}}
    ), removed AS (
      -- by an array of places: joined, the planner expects too many of them and reads the whole partition
      DELETE FROM {{partition}} AS p
       WHERE p.ctid = ANY (ARRAY(SELECT d.highwater_row FROM difference AS d WHERE d.highwater_gone)) RETURNING 1
    ), changed AS (
      UPDATE {{partition}} AS p SET {{set_measures}}
        FROM difference AS d
       WHERE p.ctid = ANY (ARRAY(SELECT c.highwater_row FROM difference AS c WHERE NOT c.highwater_gone AND c.highwater_row IS NOT NULL))
         AND p.ctid = d.highwater_row RETURNING 1
    ), added AS (
      INSERT INTO {{partition}} ({{column_list}})
      SELECT {{added_columns}} FROM difference AS d WHERE d.highwater_row IS NULL RETURNING 1
    )
    SELECT (SELECT count(*) FROM added), (SELECT count(*) FROM changed), (SELECT count(*) FROM removed)
