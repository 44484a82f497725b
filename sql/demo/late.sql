-- demo/late
-- $1 bigint: how many events
-- Copies events of long ago as if they arrived only now: late news of old months, while the upgrade runs.
INSERT INTO activity (occurred_at, repository, author, directory, extension, lines_added, lines_deleted)
SELECT old.occurred_at + interval '7 minutes', old.repository, old.author, old.directory, old.extension, 1, 0
  FROM (SELECT activity.* FROM activity TABLESAMPLE SYSTEM (10) LIMIT $1) AS old
