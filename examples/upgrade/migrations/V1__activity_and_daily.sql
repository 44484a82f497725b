-- What the application began with: its events, and a daily table that a nightly job fills by hand.

CREATE TABLE activity (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  occurred_at timestamptz NOT NULL,
  recorded_at timestamptz NOT NULL DEFAULT now(),
  repository text COLLATE "C" NOT NULL,
  author text COLLATE "C" NOT NULL,
  directory text COLLATE "C",
  extension text COLLATE "C" NOT NULL DEFAULT '',
  lines_added bigint NOT NULL DEFAULT 0,
  lines_deleted bigint NOT NULL DEFAULT 0
);
CREATE INDEX activity_repository_occurred_at ON activity (repository, occurred_at);
CREATE INDEX activity_occurred_at ON activity (occurred_at);
COMMENT ON TABLE activity IS 'One file changed by one commit.';
COMMENT ON COLUMN activity.directory IS 'Top folder of the file; NULL for the root.';
COMMENT ON COLUMN activity.extension IS 'Of the file; empty for none.';

CREATE TABLE activity_daily (
  day date NOT NULL,
  repository text COLLATE "C" NOT NULL,
  lines_added bigint NOT NULL,
  lines_deleted bigint NOT NULL,
  changes bigint NOT NULL,
  PRIMARY KEY (day, repository)
);

CREATE FUNCTION refresh_activity_daily() RETURNS void LANGUAGE sql AS $$
  INSERT INTO activity_daily
  SELECT (occurred_at AT TIME ZONE 'UTC')::date, repository, sum(lines_added), sum(lines_deleted), count(*)
    FROM activity GROUP BY 1, 2
  ON CONFLICT (day, repository) DO UPDATE
     SET lines_added = excluded.lines_added, lines_deleted = excluded.lines_deleted, changes = excluded.changes
$$;
