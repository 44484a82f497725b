-- bench/update_rows
-- source, rows and round are spliced in.
-- One number of events that are scattered over the history.
UPDATE {{source}} AS event SET input_tokens = event.input_tokens + 1
 WHERE event.ctid = ANY (ARRAY(SELECT each.ctid FROM {{source}} AS each ORDER BY hashtextextended(each.event_id, {{round}}) LIMIT {{rows}}))
