-- job/host_remove
-- $1 uuid host
WITH
tokens AS (
  UPDATE highwater.host_token SET revoked_at = clock_timestamp() WHERE host = $1 AND revoked_at IS NULL
),
codes AS (
  DELETE FROM highwater.host_enrolment WHERE host = $1 AND used_at IS NULL
),
schedules AS (
  UPDATE highwater.schedule SET removed_at = clock_timestamp(), rev = rev + 1 WHERE host = $1 AND removed_at IS NULL
),
arms AS (
  DELETE FROM highwater.catchup_arm WHERE host = $1
),
-- What it owes will never run; what runs will report its end or be concluded.
runs AS (
  UPDATE highwater.pending_run SET state = 'abandoned', why = 'the host was retired'
   WHERE host = $1 AND state IN ('waiting', 'claimed')
)
UPDATE highwater.host SET state = 'retired', rev = rev + 1 WHERE id = $1
RETURNING id
