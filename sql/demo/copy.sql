-- demo/copy
-- The columns of the CSV file in its order. An empty directory is the root (NULL), an empty extension is none ('').
COPY activity (occurred_at, recorded_at, repository, author, directory, extension, lines_added, lines_deleted)
FROM STDIN WITH (FORMAT csv, HEADER match, FORCE_NOT_NULL (extension))
