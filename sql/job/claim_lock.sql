-- job/claim_lock
-- $1 uuid: host
-- The host is there, and its claims take turns; so do those of other hosts that write to the same repositories. Weaker than
-- the lock of a deletion, so that reports, which only refer to these rows, go on. No row: no such host, or it is retired.
WITH host AS MATERIALIZED (
  UPDATE highwater.host AS host
     SET last_seen_at = clock_timestamp(), state = 'online'
   WHERE host.id = $1 AND host.state <> 'retired'
  RETURNING host.id
), repository AS MATERIALIZED (
  SELECT repository.id
    FROM highwater.repository AS repository
   WHERE repository.id IN (SELECT target.repository
                             FROM host
                             JOIN highwater.source_group AS source_group ON source_group.host = host.id
                             JOIN highwater.group_repository AS target ON target.source_group = source_group.id)
   ORDER BY repository.id
     FOR NO KEY UPDATE
)
SELECT host.id, (SELECT count(*) FROM repository) AS repositories FROM host
