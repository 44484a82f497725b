-- scheduler/gauges
-- The ledger in numbers, for metrics: what waits, what runs, and the oldest of each.
SELECT count(*) FILTER (WHERE plan.state IN ('due', 'retrying')) AS waiting,
       count(*) FILTER (WHERE plan.state = 'running') AS running,
       coalesce(extract(epoch FROM clock_timestamp() - min(plan.next_try_at)), 0)::float8 AS oldest_due_seconds,
       (SELECT count(*) FROM highwater.lease) AS leases,
       (SELECT coalesce(extract(epoch FROM clock_timestamp() - min(lease.lease_until)), 0)::float8
          FROM highwater.lease AS lease) AS oldest_lease_overdue_seconds
  FROM highwater.plan AS plan
 WHERE plan.state IN ('due', 'retrying', 'running')
