-- migrate/fence
-- $1 int4 server process of the run's lock connection
-- $2 int8 key of the advisory lock
-- Whether that process still holds the lock. Plain SQL: a DO block would need a loadable plpgsql at the worst moment.
SELECT EXISTS (
       SELECT
         FROM pg_catalog.pg_locks AS lock
        WHERE lock.locktype = 'advisory'
          AND lock.database = (SELECT own.oid FROM pg_catalog.pg_database AS own WHERE own.datname = current_database())
          AND lock.objsubid = 1
          AND (lock.classid::int8 << 32) | lock.objid::int8 = $2
          AND lock.pid = $1
          AND lock.mode = 'ExclusiveLock'
          AND lock.granted) AS held
