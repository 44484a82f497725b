-- migrate/index_meant
-- {unique} UNIQUE or nothing   {index} quoted name   {clone} quoted name of the likeness   {rest} the definition's rest
CREATE {unique} INDEX {index} ON pg_temp.{clone} {rest}
