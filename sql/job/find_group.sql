-- job/find_group
-- $1 uuid host   $2 text name   $3 uuid id, or NULL
SELECT source_group.id, source_group.name
  FROM highwater.source_group AS source_group
 WHERE source_group.host = $1 AND source_group.removed_at IS NULL AND (source_group.name = $2 OR source_group.id = $3)
