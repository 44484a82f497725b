-- job/mark_offline
-- $1 int8: seconds of silence after which a host is taken to be away
-- An arm of a host that went away is dropped: its next hello arms it anew.
WITH gone AS (
  UPDATE highwater.host AS host
     SET state = 'offline'
   WHERE host.state = 'online' AND coalesce(host.last_seen_at, '-infinity') < clock_timestamp() - $1 * interval '1 second'
  RETURNING host.id
), dropped AS (
  DELETE FROM highwater.catchup_arm AS arm USING gone WHERE arm.host = gone.id
)
SELECT count(*) AS gone FROM gone
