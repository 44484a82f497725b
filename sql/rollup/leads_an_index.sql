-- rollup/leads_an_index
-- $1 text: qualified, quoted table
-- $2 text: column
-- Whether a btree index of the table begins with the column.
SELECT highwater.leads_an_index($1, $2) AS found
