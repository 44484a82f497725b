-- job/record/lock_group
-- $1 uuid group
-- Until the transaction ends nobody else decides what of the group goes.
SELECT source_group.id FROM highwater.source_group AS source_group WHERE source_group.id = $1 FOR NO KEY UPDATE
