-- job/group_repositories_add
-- $1 uuid group   $2 uuid[] repositories
INSERT INTO highwater.group_repository (source_group, repository)
SELECT $1, repository.id FROM unnest($2::uuid[]) AS repository (id)
    ON CONFLICT DO NOTHING
