-- job/alarm/channel_remove
-- $1 uuid channel
-- Its tellings go with it.
DELETE FROM highwater.alarm_channel AS channel WHERE channel.id = $1 RETURNING channel.id
