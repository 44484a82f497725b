-- job/event/names
-- $1 uuid host   $2 text[] groups   $3 text[] schedules   $4 text[] repositories   (ids, names or URLs)
-- What a host's words mean; nothing of another host is found. A name means the group in use, an id also one that was
-- removed meanwhile: a late report must not be refused for it.
SELECT 'group' AS what, named.word AS named, source_group.id,
       (SELECT CASE WHEN count(*) = 1 THEN (array_agg(goes.repository))[1] END
          FROM highwater.group_repository AS goes
         WHERE goes.source_group = source_group.id) AS only_repository
  FROM (SELECT DISTINCT word FROM unnest($2::text[]) AS group_word (word)) AS named
  JOIN highwater.source_group AS source_group
    ON source_group.host = $1
   AND (source_group.id::text = lower(named.word) OR source_group.name = named.word AND source_group.removed_at IS NULL)
 UNION ALL
SELECT 'schedule', named.word, schedule.id, NULL
  FROM (SELECT DISTINCT word FROM unnest($3::text[]) AS schedule_word (word)) AS named
  JOIN highwater.schedule AS schedule ON schedule.host = $1 AND schedule.id::text = lower(named.word)
 UNION ALL
SELECT 'repository', named.word, repository.id, NULL
  FROM (SELECT DISTINCT word FROM unnest($4::text[]) AS repository_word (word)) AS named
  JOIN highwater.repository AS repository
    ON repository.tenant = (SELECT host.tenant FROM highwater.host AS host WHERE host.id = $1)
   AND (repository.id::text = lower(named.word) OR repository.url = named.word)
