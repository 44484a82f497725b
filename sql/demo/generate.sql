-- demo/generate
-- $1 bigint: how many events
-- Seeded events over the last 14 months, in commits of eight files: a few busy repositories and many quiet ones, roots
-- without a directory, one commit in twenty recorded late by up to 40 days. The same count gives the same events, but
-- for the date.
WITH seed AS (
  SELECT i,
         (hashint8extended(i / 8, 1) & 1048575) / 1048576.0 AS who,
         (hashint8extended(i / 8, 2) & 1048575) / 1048576.0 AS what,
         (hashint8extended(i / 8, 3) & 1048575) / 1048576.0 AS late,
         (hashint8extended(i / 8, 4) & 1048575) / 1048576.0 AS jitter,
         (hashint8extended(i, 5) & 1048575) / 1048576.0 AS file
    FROM generate_series(1, $1) AS i
), event AS (
  SELECT date_trunc('hour', now()) - interval '14 months'
         + ((seed.i / 8 * 8)::float8 / $1) * (interval '14 months' - interval '1 hour')
         + (seed.jitter * seed.jitter * 9 - 4) * interval '1 hour' AS occurred_at,
         floor(12 * power(seed.who, 3))::integer AS repository,
         floor(40 * power(seed.what, 2))::integer AS author,
         seed.*
    FROM seed
)
INSERT INTO activity (occurred_at, recorded_at, repository, author, directory, extension, lines_added, lines_deleted)
SELECT event.occurred_at,
       event.occurred_at + CASE WHEN event.late < 0.05 THEN event.late * 800 * interval '1 day' ELSE interval '1 second' END,
       'repository-' || lpad(event.repository::text, 2, '0'),
       'author-' || lpad(((event.author + event.repository) % 60)::text, 2, '0'),
       (ARRAY[NULL, 'src', 'src', 'tests', 'docs', 'tools'])[1 + floor(event.what * 6)::integer],
       (ARRAY['rs', 'rs', 'sql', 'md', 'toml', ''])[1 + floor(power(event.file, 3) * 6)::integer],
       floor(power(event.file, 4) * 400)::bigint,
       floor(power(event.who, 4) * 200)::bigint
  FROM event
