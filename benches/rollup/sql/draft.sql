-- bench/draft
-- events and days are spliced in: how many events, over how many days from 2025-01-01; seed chooses another draw.
-- The numbers that both tables of events are made of, in the order of time. Fifty tenants, the first with a seventh of
-- all events (50 times the square of an even draw). code picks runtime, agent, project, provider and model. dense: in
-- 94 of 100 events it hangs on tenant and hour alone, which gives about 8 events a row of the rollup at 5 million events
-- a year; fine: in 84 of 100 it hangs on the event, which gives about 1.1.
CREATE UNLOGGED TABLE bench.draft AS
SELECT event.id,
       event.tenant,
       timestamptz '2025-01-01 00:00:00+00' + event.part * interval '{{days}} days' AS occurred_at,
       hashint8extended(event.tenant * 100000 + floor(event.part * {{days}} * 24)::bigint,
                        CASE WHEN event.chance < 0.06 THEN 7 ELSE 8 END) & 1048575 AS dense,
       hashint8extended(CASE WHEN event.chance < 0.84 THEN event.id
                             ELSE event.tenant * 100000 + floor(event.part * {{days}} * 24)::bigint END, 9) & 1048575 AS fine,
       hashint8extended(event.id, 3) AS shuffle
  FROM (
    SELECT each.id,
           (each.id - 1) / {{events}}::float8 AS part,
           floor(50 * power((hashint8extended(each.id, {{seed}}) & 1048575) / 1048576.0::float8, 2))::integer AS tenant,
           (hashint8extended(each.id, {{seed}} + 1) & 1048575) / 1048576.0::float8 AS chance
      FROM generate_series(1::bigint, {{events}}) AS each (id)) AS event
