-- job/alarm/channel_edit
-- $1 uuid channel   $2 int8 revision that it was read at   $3 text url   $4 text secret   $5 text username   $6 text sender
-- $7 text[] recipients   $8 text[] kinds   $9 text least severity   $10 boolean whether it is told
-- No row: it has another revision by now, or is gone.
UPDATE highwater.alarm_channel AS channel
   SET url = $3, secret = $4, username = $5, sender = $6, recipients = $7, kinds = $8, min_severity = $9, enabled = $10,
       rev = channel.rev + 1
 WHERE channel.id = $1 AND channel.rev = $2
RETURNING channel.rev
