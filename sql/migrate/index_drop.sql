-- migrate/index_drop
-- {index} quoted, qualified name of an invalid index
DROP INDEX CONCURRENTLY IF EXISTS {index}
