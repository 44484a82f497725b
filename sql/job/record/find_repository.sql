-- job/record/find_repository
-- $1 uuid tenant   $2 text url   $3 uuid id, or NULL
SELECT repository.id FROM highwater.repository AS repository
 WHERE repository.tenant = $1 AND (repository.url = $2 OR repository.id = $3)
