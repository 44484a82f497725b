-- scheduler/gauges
-- The ledger in numbers, for metrics: what waits, runs and has failed for good, and the oldest of each. Every part goes
-- over an index that is as small as what it counts; what runs has a lease.
SELECT waiting.due, waiting.retrying, waiting.oldest_due_seconds, unwell.failed, unwell.poisoned,
       leased.leases, leased.least_left_seconds, leased.oldest_run_seconds
  FROM (SELECT count(*) FILTER (WHERE plan.state = 'due') AS due,
               count(*) FILTER (WHERE plan.state = 'retrying') AS retrying,
               coalesce(extract(epoch FROM clock_timestamp() - min(plan.next_try_at)), 0)::float8 AS oldest_due_seconds
          FROM highwater.plan AS plan
         WHERE plan.state IN ('due', 'retrying')) AS waiting
 CROSS JOIN (SELECT count(*) FILTER (WHERE plan.state = 'failed') AS failed,
                    count(*) FILTER (WHERE plan.state = 'poisoned') AS poisoned
               FROM highwater.plan AS plan
              WHERE plan.state IN ('failed', 'poisoned')) AS unwell
 CROSS JOIN (SELECT count(*) AS leases,
                    extract(epoch FROM min(lease.lease_until) - clock_timestamp())::float8 AS least_left_seconds,
                    coalesce(extract(epoch FROM clock_timestamp() - min(plan.started_at)), 0)::float8 AS oldest_run_seconds
               FROM highwater.lease AS lease
               LEFT JOIN highwater.plan AS plan ON plan.run_id = lease.run_id) AS leased
