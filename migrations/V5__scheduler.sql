-- The scheduler: jobs, the ledger of their plans, and the leases under which plans run.

CREATE TABLE highwater.job (
  name text PRIMARY KEY CONSTRAINT job_name_is_short CHECK (name ~ '^[a-z][a-z0-9_-]{0,59}$'),
  kind text NOT NULL CONSTRAINT job_kind_is_known CHECK (kind IN ('builtin', 'sql', 'command')),
  function text,
  command text[],
  scopes text NOT NULL DEFAULT 'single' CONSTRAINT job_scopes_are_known CHECK (scopes IN ('single', 'rollup')),
  cadence interval NOT NULL CONSTRAINT job_cadence_is_exact CHECK (
    cadence >= interval '1 second' AND cadence = make_interval(secs => extract(epoch FROM cadence)::float8)
    AND extract(year FROM cadence) = 0 AND extract(month FROM cadence) = 0),
  schedule_delay interval NOT NULL DEFAULT '0' CONSTRAINT job_schedule_delay_is_not_negative CHECK (schedule_delay >= '0'),
  catch_up text NOT NULL DEFAULT 'latest' CONSTRAINT job_catch_up_is_known CHECK (catch_up IN ('latest', 'every')),
  catch_up_window interval NOT NULL DEFAULT '1 day' CONSTRAINT job_catch_up_window_is_not_negative CHECK (catch_up_window >= '0'),
  catch_up_cap integer NOT NULL DEFAULT 100 CONSTRAINT job_catch_up_cap_is_bounded CHECK (catch_up_cap BETWEEN 1 AND 10000),
  overlap text NOT NULL DEFAULT 'forbid' CONSTRAINT job_overlap_is_known CHECK (overlap IN ('forbid', 'allow')),
  timeout interval NOT NULL DEFAULT '1 hour' CONSTRAINT job_timeout_is_positive CHECK (timeout > '0'),
  backoff interval NOT NULL DEFAULT '1 minute' CONSTRAINT job_backoff_is_positive CHECK (backoff > '0'),
  max_attempts integer NOT NULL DEFAULT 3 CONSTRAINT job_max_attempts_is_positive CHECK (max_attempts >= 1),
  max_crashes integer NOT NULL DEFAULT 3 CONSTRAINT job_max_crashes_is_positive CHECK (max_crashes >= 1),
  keep_done interval NOT NULL DEFAULT '30 days' CONSTRAINT job_keep_done_is_not_negative CHECK (keep_done >= '0'),
  keep_failed interval NOT NULL DEFAULT '90 days' CONSTRAINT job_keep_failed_is_not_negative CHECK (keep_failed >= '0'),
  paused_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT job_sql_has_a_function CHECK ((kind = 'sql') = (function IS NOT NULL)),
  CONSTRAINT job_command_has_words CHECK ((kind = 'command') = (coalesce(cardinality(command), 0) > 0))
);
COMMENT ON TABLE highwater.job IS 'What the worker runs, and when.';
COMMENT ON COLUMN highwater.job.name IS 'Name of the job.';
COMMENT ON COLUMN highwater.job.kind IS 'builtin: part of highwater; sql: calls a function; command: starts a program on a worker that allows it.';
COMMENT ON COLUMN highwater.job.function IS 'Of an sql job: the function, qualified and quoted; it takes nothing or the plan time.';
COMMENT ON COLUMN highwater.job.command IS 'Of a command job: the program and its arguments, as they are, without a shell.';
COMMENT ON COLUMN highwater.job.scopes IS 'single: one scope, the empty text; rollup: one scope for each installed rollup.';
COMMENT ON COLUMN highwater.job.cadence IS 'Distance of plan times, counted from Monday, 2001-01-01 00:00 UTC.';
COMMENT ON COLUMN highwater.job.schedule_delay IS 'A plan is due this long after its plan time.';
COMMENT ON COLUMN highwater.job.catch_up IS 'Of missed plan times: latest runs the newest, which covers the others; every runs all, oldest first.';
COMMENT ON COLUMN highwater.job.catch_up_window IS 'Plan times that were missed by more than this are not made up for: one skipped row tells of them.';
COMMENT ON COLUMN highwater.job.catch_up_cap IS 'With every: at most this many plans of a scope wait at once.';
COMMENT ON COLUMN highwater.job.overlap IS 'forbid: one run of a scope at a time, oldest plan first; allow: as many as are due.';
COMMENT ON COLUMN highwater.job.timeout IS 'A run that takes longer is cancelled and has failed.';
COMMENT ON COLUMN highwater.job.backoff IS 'Pause before the second attempt; it doubles with each further one, up to an hour.';
COMMENT ON COLUMN highwater.job.max_attempts IS 'A plan that failed this often has failed for good.';
COMMENT ON COLUMN highwater.job.max_crashes IS 'A plan whose worker vanished this often is poisoned; 1: never run again what may have run.';
COMMENT ON COLUMN highwater.job.keep_done IS 'Done and skipped plans are pruned after this.';
COMMENT ON COLUMN highwater.job.keep_failed IS 'Failed and poisoned plans are pruned after this.';
COMMENT ON COLUMN highwater.job.paused_at IS 'Since when the job is paused: plan times are recorded as skipped, waiting plans wait. NULL: it is not.';
COMMENT ON COLUMN highwater.job.created_at IS 'Database clock when the job was added; its plan times begin after that.';

CREATE TABLE highwater.job_scope (
  job text NOT NULL CONSTRAINT job_scope_job_exists REFERENCES highwater.job (name) ON DELETE CASCADE,
  scope text NOT NULL,
  materialised_to timestamptz NOT NULL CONSTRAINT job_scope_materialised_to_is_finite CHECK (isfinite(materialised_to)),
  PRIMARY KEY (job, scope)
) WITH (fillfactor = 50);
COMMENT ON TABLE highwater.job_scope IS 'How far the plan times of a job''s scope have been put on the ledger.';
COMMENT ON COLUMN highwater.job_scope.job IS 'Name of the job.';
COMMENT ON COLUMN highwater.job_scope.scope IS 'What the job works on: the name of a rollup, or the empty text.';
COMMENT ON COLUMN highwater.job_scope.materialised_to IS 'Every plan time up to and including this is on the ledger. Advanced in the transaction that wrote the plans; never derived from them.';

CREATE TABLE highwater.plan (
  run_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  job text NOT NULL CONSTRAINT plan_job_exists REFERENCES highwater.job (name) ON DELETE CASCADE,
  scope text NOT NULL,
  plan_time timestamptz NOT NULL CONSTRAINT plan_time_is_finite CHECK (isfinite(plan_time)),
  state text NOT NULL CONSTRAINT plan_state_is_known
    CHECK (state IN ('due', 'running', 'retrying', 'done', 'failed', 'poisoned', 'skipped')),
  exclusive boolean NOT NULL,
  next_try_at timestamptz,
  attempts integer NOT NULL DEFAULT 0 CONSTRAINT plan_attempts_are_counted CHECK (attempts >= 0),
  crash_attempts integer NOT NULL DEFAULT 0 CONSTRAINT plan_crash_attempts_are_counted CHECK (crash_attempts >= 0),
  token bigint,
  worker text,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  started_at timestamptz,
  finished_at timestamptz,
  duration_ms bigint CONSTRAINT plan_duration_is_not_negative CHECK (duration_ms >= 0),
  result jsonb,
  error text,
  why text,
  CONSTRAINT plan_is_unique UNIQUE (job, scope, plan_time),
  CONSTRAINT plan_waits_for_a_time CHECK ((next_try_at IS NOT NULL) = (state IN ('due', 'retrying'))),
  CONSTRAINT plan_runs_under_a_token CHECK (state <> 'running' OR (token IS NOT NULL AND started_at IS NOT NULL)),
  CONSTRAINT plan_ends_at_a_time CHECK ((finished_at IS NOT NULL) = (state IN ('done', 'failed', 'poisoned', 'skipped'))),
  CONSTRAINT plan_skip_has_a_reason CHECK (state <> 'skipped' OR why IS NOT NULL),
  CONSTRAINT plan_failure_has_an_error CHECK (state NOT IN ('failed', 'poisoned', 'retrying') OR error IS NOT NULL)
) WITH (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_insert_scale_factor = 0.05);
COMMENT ON TABLE highwater.plan IS 'The ledger: one row per due (job, scope, plan time), also for what was skipped.';
COMMENT ON COLUMN highwater.plan.run_id IS 'Number of the plan, and of the lease under which it runs.';
COMMENT ON COLUMN highwater.plan.job IS 'Name of the job.';
COMMENT ON COLUMN highwater.plan.scope IS 'What the job works on: the name of a rollup, or the empty text.';
COMMENT ON COLUMN highwater.plan.plan_time IS 'The moment that this plan is for; of a run asked for by hand, when it was asked for.';
COMMENT ON COLUMN highwater.plan.state IS 'due, running, retrying, done, failed, poisoned or skipped; see docs/DATA_MODEL.md.';
COMMENT ON COLUMN highwater.plan.exclusive IS 'Whether no other plan of the scope may run meanwhile: the job''s overlap when the plan was made.';
COMMENT ON COLUMN highwater.plan.next_try_at IS 'When it may be claimed; only while due or retrying.';
COMMENT ON COLUMN highwater.plan.attempts IS 'Runs that ended or still run; those that a drain gave back and crashes are not among them.';
COMMENT ON COLUMN highwater.plan.crash_attempts IS 'Runs whose worker or connection vanished.';
COMMENT ON COLUMN highwater.plan.token IS 'Token of the last claim; tokens only rise.';
COMMENT ON COLUMN highwater.plan.worker IS 'Who claimed it last: host, process, incarnation.';
COMMENT ON COLUMN highwater.plan.created_at IS 'Database clock when the row was written.';
COMMENT ON COLUMN highwater.plan.started_at IS 'Database clock at the last claim.';
COMMENT ON COLUMN highwater.plan.finished_at IS 'Database clock when it came to an end, for good.';
COMMENT ON COLUMN highwater.plan.duration_ms IS 'Milliseconds that the last run took.';
COMMENT ON COLUMN highwater.plan.result IS 'What the run had to say.';
COMMENT ON COLUMN highwater.plan.error IS 'Why the last run failed; stays beside a later success.';
COMMENT ON COLUMN highwater.plan.why IS 'Why it was skipped, or made by hand.';
CREATE INDEX plan_due ON highwater.plan (next_try_at, run_id) WHERE state IN ('due', 'retrying');
COMMENT ON INDEX highwater.plan_due IS 'What may be claimed; stays as small as the backlog.';
CREATE INDEX plan_waiting ON highwater.plan (job, scope, plan_time) WHERE state IN ('due', 'retrying');
COMMENT ON INDEX highwater.plan_waiting IS 'Finds the oldest waiting plan of a scope.';
CREATE UNIQUE INDEX plan_one_running ON highwater.plan (job, scope) WHERE state = 'running' AND exclusive;
COMMENT ON INDEX highwater.plan_one_running IS 'At most one exclusive run of a scope, whatever claimers believe.';

CREATE TABLE highwater.lease (
  run_id bigint PRIMARY KEY,
  token bigint NOT NULL,
  worker uuid NOT NULL,
  lease_until timestamptz NOT NULL
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
COMMENT ON TABLE highwater.lease IS 'One row per running plan, moved on by heartbeats. No index on lease_until, so that they stay HOT; no foreign key, so that they stay cheap.';
COMMENT ON COLUMN highwater.lease.run_id IS 'The plan.';
COMMENT ON COLUMN highwater.lease.token IS 'Token of the claim. A write of the run is fenced by run_id, token and lease_until.';
COMMENT ON COLUMN highwater.lease.worker IS 'Incarnation of the worker: new at every start.';
COMMENT ON COLUMN highwater.lease.lease_until IS 'Until when, by the database''s clock, nobody else may run the plan.';

CREATE SEQUENCE highwater.lease_token;
COMMENT ON SEQUENCE highwater.lease_token IS 'Tokens of leases: a later claim has a higher one.';

INSERT INTO highwater.job (name, kind, scopes, cadence, catch_up_window, timeout, backoff, max_attempts, max_crashes) VALUES
  ('drain', 'builtin', 'rollup', '1 minute', '10 minutes', '5 minutes', '1 second', 5, 20),
  ('backfill', 'builtin', 'rollup', '1 minute', '10 minutes', '7 days', '1 minute', 5, 20),
  ('verify', 'builtin', 'rollup', '1 hour', '1 hour', '30 minutes', '5 minutes', 2, 3),
  ('watch', 'builtin', 'single', '1 minute', '10 minutes', '30 seconds', '10 seconds', 1, 3),
  ('prune', 'builtin', 'single', '1 day', '1 day', '30 minutes', '5 minutes', 5, 3);
UPDATE highwater.job SET keep_done = '2 days' WHERE name IN ('drain', 'backfill', 'watch');
