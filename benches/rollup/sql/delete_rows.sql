-- bench/delete_rows
-- source, rows and round are spliced in.
-- Events that are scattered over the history.
DELETE FROM {{source}} AS event
 WHERE event.ctid = ANY (ARRAY(SELECT each.ctid FROM {{source}} AS each ORDER BY hashtextextended(each.event_id, {{round}}) LIMIT {{rows}}))
