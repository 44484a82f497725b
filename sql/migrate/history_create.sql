-- migrate/history_create
-- {history} the history table
-- refinery's own shape, so that a stock refinery can go on from here; versions are bigint, for names such as
-- V20260131120000__x.sql.
CREATE TABLE IF NOT EXISTS {history} (
    version    int8 PRIMARY KEY,
    name       varchar(255),
    applied_on varchar(255),
    checksum   varchar(255)
)
