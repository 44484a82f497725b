-- Jobs whose work is code of an application that embeds the worker, and jobs with scopes of their own.

ALTER TABLE highwater.job
  ADD COLUMN application text,
  ADD COLUMN registered_at timestamptz,
  ADD COLUMN scope_list text[],
  DROP CONSTRAINT job_kind_is_known,
  ADD CONSTRAINT job_kind_is_known CHECK (kind IN ('builtin', 'sql', 'command', 'code')),
  ADD CONSTRAINT job_code_has_an_application CHECK ((kind = 'code') = (application IS NOT NULL)),
  DROP CONSTRAINT job_scopes_are_known,
  ADD CONSTRAINT job_scopes_are_known CHECK (scopes IN ('single', 'rollup', 'list')),
  ADD CONSTRAINT job_list_has_scopes CHECK ((scopes = 'list') = (coalesce(cardinality(scope_list), 0) > 0));
ALTER TABLE highwater.job
  ADD COLUMN runner text NOT NULL GENERATED ALWAYS AS (CASE kind WHEN 'code' THEN 'code:' || name ELSE kind END) STORED;
COMMENT ON COLUMN highwater.job.kind IS 'builtin: part of highwater; sql: calls a function; command: starts a program on a worker that allows it; code: a handler in an application that embeds the worker.';
COMMENT ON COLUMN highwater.job.scopes IS 'single: one scope, the empty text; rollup: one scope for each installed rollup; list: those of scope_list.';
COMMENT ON COLUMN highwater.job.scope_list IS 'With scopes list: the scopes, each planned and run by itself.';
COMMENT ON COLUMN highwater.job.application IS 'Of a job in code: the application that registers it, and alone may change it.';
COMMENT ON COLUMN highwater.job.registered_at IS 'Of a job in code: when a program with its handler last started.';
COMMENT ON COLUMN highwater.job.runner IS 'Which workers may run it: all know builtin and sql, some allow command, and code:NAME is known where its handler is.';

CREATE VIEW highwater.job_scope_now AS
SELECT job.name AS job, '' AS scope FROM highwater.job AS job WHERE job.scopes = 'single'
UNION ALL
SELECT job.name, rollup.name FROM highwater.job AS job CROSS JOIN highwater.rollup AS rollup WHERE job.scopes = 'rollup'
UNION ALL
SELECT job.name, listed.scope FROM highwater.job AS job CROSS JOIN LATERAL unnest(job.scope_list) AS listed (scope)
 WHERE job.scopes = 'list';
COMMENT ON VIEW highwater.job_scope_now IS 'What each job works on, at this moment.';
COMMENT ON COLUMN highwater.job_scope_now.job IS 'Name of the job.';
COMMENT ON COLUMN highwater.job_scope_now.scope IS 'Name of a rollup, an element of scope_list, or the empty text.';
