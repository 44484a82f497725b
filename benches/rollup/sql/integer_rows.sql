-- bench/integer_rows
-- table, code (a column of bench.draft) and ordering are spliced in.
-- The same events as bench/text_rows.
INSERT INTO {{table}} (event_id, tenant, occurred_at, recorded_at, runtime, agent, project, provider, model, task,
                       input_tokens, output_tokens, cache_read_tokens, cache_write_tokens)
SELECT draft.id, draft.tenant, draft.occurred_at, draft.occurred_at,
       draft.{{code}} % 3, draft.{{code}} / 3 % 20, CASE WHEN draft.{{code}} % 10 >= 3 THEN draft.{{code}} / 7 % 12 END,
       draft.{{code}} / 11 % 3, draft.{{code}} / 13 % 6, draft.id / 5,
       draft.id % 1000, draft.id % 997, draft.id % 101, draft.id % 97
  FROM bench.draft AS draft
 ORDER BY draft.{{ordering}}
