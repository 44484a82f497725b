-- demo/census
-- What the events look like.
SELECT count(*) AS events, min(activity.occurred_at) AS first_at, max(activity.occurred_at) AS last_at,
       count(DISTINCT date_trunc('month', activity.occurred_at, 'UTC')) AS months,
       count(DISTINCT activity.repository) AS repositories,
       count(*) FILTER (WHERE activity.recorded_at - activity.occurred_at > interval '1 day') AS late,
       count(*) FILTER (WHERE activity.directory IS NULL) AS in_root
  FROM activity
