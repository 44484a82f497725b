-- job/find_groups
-- $1 uuid: host
-- $2 text[]: ids or names
SELECT wanted.word, source_group.id
  FROM unnest($2::text[]) AS wanted (word)
  LEFT JOIN highwater.source_group AS source_group
    ON source_group.host = $1 AND source_group.removed_at IS NULL
   AND (source_group.id::text = lower(wanted.word) OR source_group.name = wanted.word)
