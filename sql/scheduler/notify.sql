-- scheduler/notify
-- $1 text: channel
-- Hurries workers that listen. Sent by a statement of its own after plans were committed, once for all of them, since a
-- notification takes a lock of the whole server at commit; never in a user's transaction.
SELECT pg_catalog.pg_notify($1, '')
