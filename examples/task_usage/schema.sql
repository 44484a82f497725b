-- An application that runs agents: what they use is counted by task, and tasks hang on agents and issues.
CREATE SCHEMA app;
CREATE TABLE app.agent (id uuid PRIMARY KEY, workspace_id uuid NOT NULL, runtime_id uuid);
CREATE TABLE app.issue (id uuid PRIMARY KEY, workspace_id uuid NOT NULL, project_id uuid);
CREATE TABLE app.task (
  id uuid PRIMARY KEY,
  agent_id uuid REFERENCES app.agent ON DELETE CASCADE,
  issue_id uuid REFERENCES app.issue ON DELETE SET NULL
);
CREATE INDEX task_agent ON app.task (agent_id);
CREATE INDEX task_issue ON app.task (issue_id);
CREATE TABLE app.task_usage (
  workspace_id uuid NOT NULL,
  task_id uuid NOT NULL REFERENCES app.task ON DELETE CASCADE,
  provider text NOT NULL,
  model text NOT NULL,
  input_tokens bigint NOT NULL DEFAULT 0,
  output_tokens bigint NOT NULL DEFAULT 0,
  cache_read_tokens bigint NOT NULL DEFAULT 0,
  cache_write_tokens bigint NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (task_id, provider, model)
);
-- A drain reads one hour of one workspace by this, and the expansion of a changed task reads by the unique key above.
CREATE INDEX task_usage_workspace_time ON app.task_usage (workspace_id, created_at);
