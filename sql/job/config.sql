-- job/config
-- $1 uuid: host
-- The document of GET /v1/agent/config. No row: no such host, or it is retired.
WITH grouped AS MATERIALIZED (
  SELECT source_group.id, source_group.name,
         jsonb_build_object(
           'id', source_group.id, 'name', source_group.name, 'kind', source_group.source, 'command', source_group.command,
           'includes', source_group.includes, 'excludes', source_group.excludes,
           'repositories', (SELECT coalesce(jsonb_agg(target.repository ORDER BY target.repository), '[]')
                              FROM highwater.group_repository AS target WHERE target.source_group = source_group.id),
           'pre_hook', source_group.pre_hook, 'post_hook', source_group.post_hook,
           'hook_timeout_seconds', extract(epoch FROM source_group.hook_timeout)::bigint,
           'job_timeout_seconds', extract(epoch FROM source_group.job_timeout)::bigint,
           'retention', jsonb_build_object(
             'keep_last', source_group.keep_last, 'keep_hourly', source_group.keep_hourly,
             'keep_daily', source_group.keep_daily, 'keep_weekly', source_group.keep_weekly,
             'keep_monthly', source_group.keep_monthly, 'keep_yearly', source_group.keep_yearly,
             'keep_min', source_group.keep_min)) AS document
    FROM highwater.source_group AS source_group
   WHERE source_group.host = $1 AND source_group.removed_at IS NULL
), stored AS MATERIALIZED (
  SELECT DISTINCT repository.id, repository.kind, repository.url, repository.max_concurrent
    FROM grouped
    JOIN highwater.group_repository AS target ON target.source_group = grouped.id
    JOIN highwater.repository AS repository ON repository.id = target.repository
), scheduled AS MATERIALIZED (
  SELECT schedule.id,
         jsonb_build_object(
           'id', schedule.id,
           'groups', (SELECT coalesce(jsonb_agg(grouped.id ORDER BY grouped.name), '[]')
                        FROM highwater.schedule_group AS bond
                        JOIN grouped ON grouped.id = bond.source_group
                       WHERE bond.schedule = schedule.id),
           'cron', schedule.cron, 'tz', schedule.tz, 'enabled', schedule.enabled, 'catchup', schedule.catchup,
           'catchup_window_seconds', extract(epoch FROM schedule.catchup_window)::bigint,
           'settle_seconds', extract(epoch FROM schedule.settle)::bigint,
           'jitter_seconds', extract(epoch FROM schedule.jitter)::bigint,
           'overlap', schedule.overlap,
           'start_deadline_seconds', extract(epoch FROM schedule.start_deadline)::bigint) AS document
    FROM highwater.schedule AS schedule
   WHERE schedule.host = $1 AND schedule.removed_at IS NULL
)
SELECT jsonb_build_object(
         -- as job/hello has it: every edit and removal raises one of these, and none ever falls
         'rev', (host.rev
           + (SELECT coalesce(sum(schedule.rev), 0) FROM highwater.schedule AS schedule WHERE schedule.host = host.id)
           + (SELECT coalesce(sum(source_group.rev), 0) FROM highwater.source_group AS source_group
               WHERE source_group.host = host.id)
           + (SELECT coalesce(sum(repository.rev), 0)
                FROM (SELECT DISTINCT repository.id, repository.rev
                        FROM highwater.source_group AS source_group
                        JOIN highwater.group_repository AS target ON target.source_group = source_group.id
                        JOIN highwater.repository AS repository ON repository.id = target.repository
                       WHERE source_group.host = host.id) AS repository))::bigint,
         'host', jsonb_build_object('id', host.id, 'name', host.name, 'mode', host.mode, 'tz', host.tz,
                                    'max_concurrent', host.max_concurrent),
         'groups', (SELECT coalesce(jsonb_agg(grouped.document ORDER BY grouped.name), '[]') FROM grouped),
         'repositories', (SELECT coalesce(jsonb_agg(to_jsonb(stored) ORDER BY stored.id), '[]') FROM stored),
         'schedules', (SELECT coalesce(jsonb_agg(scheduled.document ORDER BY scheduled.id), '[]') FROM scheduled)) AS config
  FROM highwater.host AS host
 WHERE host.id = $1 AND host.state <> 'retired'
