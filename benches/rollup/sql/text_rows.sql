-- bench/text_rows
-- table, code (a column of bench.draft) and ordering are spliced in.
-- Events as highwater.usage_event holds them; three in ten belong to no project.
INSERT INTO {{table}} (event_id, tenant, occurred_at, recorded_at, runtime, agent, project, provider, model, task,
                       input_tokens, output_tokens, cache_read_tokens, cache_write_tokens)
SELECT 'event-' || draft.id, 'tenant-' || lpad(draft.tenant::text, 3, '0'), draft.occurred_at, draft.occurred_at,
       'runtime-' || draft.{{code}} % 3, 'agent-' || draft.{{code}} / 3 % 20,
       CASE WHEN draft.{{code}} % 10 >= 3 THEN 'project-' || draft.{{code}} / 7 % 12 END,
       'provider-' || draft.{{code}} / 11 % 3, 'model-' || draft.{{code}} / 13 % 6, 'task-' || draft.id / 5,
       draft.id % 1000, draft.id % 997, draft.id % 101, draft.id % 97
  FROM bench.draft AS draft
 ORDER BY draft.{{ordering}}
